package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"example.com/sockets/integration/lab"
)

// memory is a file that only exists in memory, so that no disk is measured: the
// program gets it as descriptor 3.
const memory = "/proc/self/fd/3"

const (
	patience = 10 * time.Second // with a program that does not answer
	fileMax  = 1 << 30
	message  = 64 // bytes, what is echoed and what is received
)

var none score

// process is a program under load, on a host of its own. What it prints goes
// nowhere: a reader would take part of the machine.
type process struct {
	*lab.Host
	cmd    *exec.Cmd
	stderr *os.File
	ended  chan struct{}
}

// meter measures what processes do from when it is made.
type meter struct {
	processes []*process
	began     time.Time
	cpu       time.Duration
}

func measure(processes []*process) meter {
	m := meter{processes: processes}
	m.cpu, m.began = m.used(), time.Now()
	return m
}

// used returns the processor time that the processes have had, and their
// children, those that have ended included.
func (m meter) used() (total time.Duration) {
	for _, pid := range family(m.processes) {
		var t unix.Timespec
		// The clock of another process, clock_getcpuclockid(3).
		if unix.ClockGettime(int32(^pid<<3|2), &t) == nil {
			total += time.Duration(t.Nano())
		}
		const cutime, cstime = 15, 16 // proc_pid_stat(5), in hundredths of a second
		if f := stat(pid); len(f) > cstime {
			user, _ := strconv.Atoi(f[cutime])
			system, _ := strconv.Atoi(f[cstime])
			total += time.Duration(user+system) * time.Second / 100
		}
	}
	return total
}

func (m meter) running() bool { return time.Since(m.began) < *length }

// score is for n things done.
func (m meter) score(n float64) (score, error) {
	took, cpu := time.Since(m.began), m.used()-m.cpu
	if n <= 0 {
		return score{}, errors.New("it did nothing")
	}
	return score{n / took.Seconds(), float64(cpu.Nanoseconds()) / 1000 / n}, nil
}

// start starts so many processes of a program on one host and waits until the
// kernel says that they are ready: sockets on port 8080, as many of them.
func start(t testing.TB, p program, n int, network string, files ...*os.File) ([]*process, error) {
	h := lab.NewHost(t, "h")
	stderr, err := memoryFile()
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { stderr.Close() })
	var all []*process
	t.Cleanup(func() {
		for _, pid := range family(all) {
			unix.Kill(pid, unix.SIGKILL)
		}
		for _, s := range all {
			<-s.ended
		}
	})
	for range n {
		cmd := exec.Command(p.args[0], p.args[1:]...)
		cmd.Stderr, cmd.ExtraFiles = stderr, files
		if err := h.Start(cmd); err != nil {
			return nil, err
		}
		s := &process{h, cmd, stderr, make(chan struct{})}
		go func() {
			cmd.Wait()
			close(s.ended)
		}()
		all = append(all, s)
	}
	for _, s := range all {
		if err := s.await(func() bool { return len(s.sockets(network)) >= n }); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// await waits for what the kernel has no event for.
func (s *process) await(done func() bool) error {
	for deadline := time.After(patience); !done(); {
		select {
		case <-time.After(time.Millisecond):
		case <-s.ended:
			said := make([]byte, 200)
			n, _ := s.stderr.ReadAt(said, 0)
			return fmt.Errorf("it ended: %v: %q", s.cmd.ProcessState, said[:n])
		case <-deadline:
			return errors.New("it is not ready, or not done, in time")
		}
	}
	return nil
}

// family returns the processes and all that came of them.
func family(processes []*process) (pids []int) {
	children := map[int][]int{}
	all, _ := filepath.Glob("/proc/[0-9]*")
	for _, name := range all {
		pid, _ := strconv.Atoi(filepath.Base(name))
		if f := stat(pid); len(f) > 3 {
			parent, _ := strconv.Atoi(f[3])
			children[parent] = append(children[parent], pid)
		}
	}
	for _, s := range processes {
		pids = append(pids, s.cmd.Process.Pid)
	}
	for i := 0; i < len(pids); i++ {
		pids = append(pids, children[pids[i]]...)
	}
	return pids
}

// stat returns the fields of /proc/PID/stat, none if there is no such process.
// The second, the name, comes out empty: it may hold anything.
func stat(pid int) []string {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	name := bytes.LastIndex(text, []byte(") "))
	if name < 0 {
		return nil
	}
	return append([]string{"", ""}, strings.Fields(string(text[name+1:]))...)
}

// socket is a line of /proc/net/tcp or udp.
type socket struct{ queued, drops int }

// sockets returns what listens on port 8080.
func (s *process) sockets(network string) (found []socket) {
	for _, line := range strings.Split(s.proc("net/"+network), "\n") {
		f := strings.Fields(line)
		if len(f) < 12 || !strings.HasSuffix(f[1], ":1F90") || f[3] != "0A" && f[3] != "07" {
			continue
		}
		_, rx, _ := strings.Cut(f[4], ":")
		queued, _ := strconv.ParseInt(rx, 16, 64)
		drops, _ := strconv.Atoi(f[len(f)-1]) // of UDP
		found = append(found, socket{int(queued), drops})
	}
	return found
}

func (s *process) proc(name string) (text string) {
	s.Do(func() {
		data, _ := os.ReadFile("/proc/thread-self/" + name)
		text = string(data)
	})
	return text
}

// dial connects a blocking socket of the plainest kind to port 8080.
func (s *process) dial(network string) (fd int, err error) {
	kind := unix.SOCK_STREAM
	if network == "udp" {
		kind = unix.SOCK_DGRAM
	}
	s.Do(func() { fd, err = unix.Socket(unix.AF_INET, kind|unix.SOCK_CLOEXEC, 0) })
	if err != nil {
		return -1, err
	}
	limit := unix.NsecToTimeval(patience.Nanoseconds())
	if err := errors.Join(
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit),
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &limit),
		unix.Connect(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: 8080}),
	); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

func memoryFile() (*os.File, error) {
	fd, err := unix.MemfdCreate("bench", unix.MFD_CLOEXEC)
	return os.NewFile(uintptr(fd), "memory"), err
}

// stream sends as much as it can on one connection, then waits for the end that
// the other side makes. It returns the number of bytes.
func (m meter) stream(limit int) (sent int, err error) {
	fd, err := m.processes[0].dial("tcp")
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	block := make([]byte, 128<<10) // as iperf3
	for m.running() && sent < limit {
		n, err := unix.Write(fd, block)
		if err != nil {
			return sent, err
		}
		sent += n
	}
	if err := unix.Shutdown(fd, unix.SHUT_WR); err != nil {
		return sent, err
	}
	if n, err := unix.Read(fd, block); n != 0 || err != nil {
		return sent, fmt.Errorf("instead of its end: %d bytes, %w", n, err)
	}
	return sent, nil
}

// intoFile measures how fast what a connection sends is in the file.
func intoFile(t testing.TB, p program) (score, error) {
	file, err := memoryFile()
	if err != nil {
		return none, err
	}
	defer file.Close()
	all, err := start(t, p, 1, "tcp", file)
	if err != nil {
		return none, err
	}
	m := measure(all)
	sent, err := m.stream(fileMax)
	if err != nil {
		return none, err
	}
	if err := all[0].await(func() bool {
		info, err := file.Stat()
		return err == nil && info.Size() == int64(sent)
	}); err != nil {
		return none, err
	}
	return m.score(float64(sent) / 1e6)
}

// throughRelay measures how fast it passes through the program to another socket.
func throughRelay(t testing.TB, p program) (score, error) {
	all, err := start(t, p, 1, "tcp")
	if err != nil {
		return none, err
	}
	var ln net.Listener
	all[0].Do(func() { ln, err = net.Listen("tcp", upstream) })
	if err != nil {
		return none, err
	}
	defer ln.Close()
	received := make(chan int)
	go func() {
		total := 0
		if conn, err := ln.Accept(); err == nil {
			for block := make([]byte, 128<<10); err == nil; {
				var n int
				n, err = conn.Read(block)
				total += n
			}
			conn.Close()
		}
		received <- total
	}()
	m := measure(all)
	sent, err := m.stream(math.MaxInt)
	if err != nil {
		return none, err
	}
	if got := <-received; got != sent {
		return none, fmt.Errorf("of %d bytes %d arrived", sent, got)
	}
	return m.score(float64(sent) / 1e6)
}

// iperf3 measures one TCP connection with nothing in between.
func iperf3() entry {
	seconds := strconv.Itoa(max(1, int((*length).Round(time.Second).Seconds())))
	p := command("limit: iperf3, direct", 0.75, "iperf3", "-s", "-1", "-B", "127.0.0.1", "-p", "8080")
	return by(func(t testing.TB, p program) (score, error) {
		all, err := start(t, p, 1, "tcp")
		if err != nil {
			return none, err
		}
		client := exec.Command(p.args[0], "-c", "127.0.0.1", "-p", "8080", "-t", seconds, "-f", "m")
		out, err := client.StdoutPipe()
		if err == nil {
			err = all[0].Start(client)
		}
		if err != nil {
			return none, err
		}
		text, _ := io.ReadAll(out)
		if err := client.Wait(); err != nil {
			return none, fmt.Errorf("iperf3: %w: %s", err, text)
		}
		for line := range strings.Lines(string(text)) {
			if f := strings.Fields(line); len(f) > 2 && f[len(f)-1] == "receiver" {
				for i := range f {
					if f[i] == "Mbits/sec" {
						rate, err := strconv.ParseFloat(f[i-1], 64)
						return score{Value: rate / 8}, err
					}
				}
			}
		}
		return none, fmt.Errorf("iperf3 reports no rate: %s", text)
	}, p)[0]
}

// connect makes so many connections, over each of which one message has been.
func (s *process) connect(network string, n int) (fds []int, closeAll func(), err error) {
	closeAll = func() {
		for _, fd := range fds {
			unix.Close(fd)
		}
	}
	buf := make([]byte, message)
	for range n {
		fd, err := s.dial(network)
		if err != nil {
			return nil, closeAll, fmt.Errorf("connection %d: %w", len(fds)+1, err)
		}
		fds = append(fds, fd)
		if _, err := unix.Write(fd, buf); err != nil {
			return nil, closeAll, err
		}
		if got, err := unix.Read(fd, buf); got != message {
			return nil, closeAll, fmt.Errorf("connection %d is not answered: %w", len(fds), err)
		}
	}
	return fds, closeAll, nil
}

// roundTrips measures how many messages a second come back, with one under way
// on each of n connections. One thread asks for them all: an epoll loop, so that
// the load takes as little of the machine as it can.
func roundTrips(network string, n int) load {
	return func(t testing.TB, p program) (score, error) {
		all, err := start(t, p, 1, network)
		if err != nil {
			return none, err
		}
		fds, closeAll, err := all[0].connect(network, n)
		defer func() { closeAll() }()
		if err != nil {
			return none, err
		}
		poll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
		if err != nil {
			return none, err
		}
		defer unix.Close(poll)
		buf := make([]byte, message)
		m := measure(all)
		for _, fd := range fds {
			if err := unix.EpollCtl(poll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}); err != nil {
				return none, err
			}
			if _, err := unix.Write(fd, buf); err != nil {
				return none, err
			}
		}
		done := 0
		for events := make([]unix.EpollEvent, n); m.running(); {
			ready, err := unix.EpollWait(poll, events, int(patience.Milliseconds()))
			if err == unix.EINTR {
				continue
			} else if ready <= 0 {
				return none, fmt.Errorf("no answer to any of %d: %w", n, err)
			}
			for _, event := range events[:ready] {
				fd := int(event.Fd)
				got, err := unix.Read(fd, buf)
				if got != message {
					return none, fmt.Errorf("echoed %d bytes of %d: %w", got, message, err)
				}
				if _, err := unix.Write(fd, buf); err != nil {
					return none, err
				}
				done++
			}
		}
		return m.score(float64(done))
	}
}

// accepts measures how many connections a second are served from the first
// packet to the last: connect, FIN, the server's FIN.
func accepts(t testing.TB, p program) (score, error) {
	all, err := start(t, p, 1, "tcp")
	if err != nil {
		return none, err
	}
	all[0].Do(func() { // a port is not free again at once
		err = os.WriteFile("/proc/sys/net/ipv4/ip_local_port_range", []byte("10000 65535"), 0)
	})
	if err != nil {
		return none, err
	}
	var done atomic.Int64
	var failed atomic.Pointer[error]
	var clients sync.WaitGroup
	m := measure(all)
	for range 16 {
		clients.Go(func() {
			for buf := make([]byte, 1); m.running() && failed.Load() == nil; done.Add(1) {
				fd, err := all[0].dial("tcp")
				if err == nil {
					err = unix.Shutdown(fd, unix.SHUT_WR)
					if err == nil {
						_, err = unix.Read(fd, buf)
					}
					unix.Close(fd)
				}
				if err != nil {
					failed.Store(&err)
				}
			}
		})
	}
	clients.Wait()
	if err := failed.Load(); err != nil {
		return none, *err
	}
	return m.score(float64(done.Load()))
}

// idle measures the memory that a connection takes which has been used once: the
// program's, and the kernel's, in which the client's end is counted too.
func idle(n int) load {
	return func(t testing.TB, p program) (score, error) {
		all, err := start(t, p, 1, "tcp")
		if err != nil {
			return none, err
		}
		_, closeFirst, err := all[0].connect("tcp", 1)
		defer func() { closeFirst() }()
		if err != nil {
			return none, err
		}
		before := all[0].settled()
		_, closeAll, err := all[0].connect("tcp", n)
		defer func() { closeAll() }()
		if err != nil {
			return none, err
		}
		return score{Value: float64(all[0].settled()-before) / float64(n)}, nil
	}
}

// settled returns the memory once it hardly changes any more: the kernel takes a
// while to free what the one before has left.
func (s *process) settled() int {
	const step = 100 * time.Millisecond
	last, calm := s.memory(), 0
	for range 50 {
		time.Sleep(step)
		now := s.memory()
		if calm++; now-last > 64 || last-now > 64 {
			calm = 0
		}
		if last = now; calm == 5 {
			break
		}
	}
	return last
}

// memory returns the KiB of a process and its children, what they share counted
// once, and those in which the kernel keeps sockets, pipes and the like.
func (s *process) memory() (kib int) {
	fmt.Sscan(field("/proc/meminfo", "SUnreclaim"), &kib)
	for _, pid := range family([]*process{s}) {
		rollup, _ := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		for line := range strings.Lines(string(rollup)) {
			if f := strings.Fields(line); f[0] == "Pss:" {
				n, _ := strconv.Atoi(f[1])
				kib += n
			}
		}
	}
	return kib
}

// flood measures how many datagrams a second programs take in when more come
// than they can. The kernel knows: it counts those for which there was no room.
func flood(n int, multicast bool) load {
	return func(t testing.TB, p program) (score, error) {
		all, err := start(t, p, n, "udp")
		if err != nil {
			return none, err
		}
		s := all[0]
		to := &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: 8080}
		fd, err := s.dial("udp")
		if err != nil {
			return none, err
		}
		defer unix.Close(fd)
		if multicast {
			copy(to.Addr[:], net.ParseIP(group).To4())
			if err := errors.Join(
				unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_IF, &unix.IPMreqn{Address: [4]byte{127, 0, 0, 1}, Ifindex: 1}),
				unix.Connect(fd, to),
				s.await(func() bool { return s.members() == n }),
			); err != nil {
				return none, err
			}
		}
		sent, buf := 0, make([]byte, message)
		m := measure(all)
		for ; m.running(); sent++ {
			if _, err := unix.Write(fd, buf); err != nil {
				return none, err
			}
		}
		received := 0
		if err := s.await(func() bool {
			received = n * sent
			return !slices.ContainsFunc(s.sockets("udp"), func(s socket) bool {
				received -= s.drops
				return s.queued > 0
			})
		}); err != nil {
			return none, err
		}
		return m.score(float64(received))
	}
}

// members returns how many have joined the group.
func (s *process) members() int {
	ip := net.ParseIP(group).To4()
	_, users, _ := strings.Cut(s.proc("net/igmp"), fmt.Sprintf("%02X%02X%02X%02X", ip[3], ip[2], ip[1], ip[0]))
	n := 0
	fmt.Sscan(users, &n)
	return n
}

// startup measures the time from starting a program to its ready line, in ms.
func startup(t testing.TB, p program) (score, error) {
	h := lab.NewHost(t, "h")
	var times []float64
	for began := time.Now(); time.Since(began) < *length; {
		out, in, err := os.Pipe()
		if err != nil {
			return none, err
		}
		cmd := exec.Command(p.args[0], p.args[1:]...)
		cmd.Stdout, cmd.Stderr = in, in
		started := time.Now()
		if err := h.Start(cmd); err != nil {
			return none, err
		}
		in.Close()
		ready := false
		for lines := bufio.NewScanner(out); !ready && lines.Scan(); {
			ready = strings.Contains(lines.Text(), "listening on")
		}
		times = append(times, float64(time.Since(started).Microseconds())/1000)
		for _, pid := range family([]*process{{cmd: cmd}}) {
			unix.Kill(pid, unix.SIGKILL)
		}
		cmd.Wait()
		out.Close()
		if !ready {
			return none, errors.New("it ended without a ready line")
		}
	}
	slices.Sort(times)
	return score{Value: times[len(times)/2]}, nil
}
