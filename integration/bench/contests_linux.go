package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"example.com/sockets/integration/harness"
)

// contest is what several measure up in, ours first.
type contest struct {
	name, unit string
	less       bool // is better
	alone      bool // not a race: its entries are one program at several sizes
	entries    []entry
}

type entry struct {
	name    string
	aim     float64 // how many times as good ours is meant to be, 0 for no aim
	absent  string  // why it cannot be measured
	measure func(t testing.TB) (score, error)
}

// The programs' own defaults serve: each measurement has a host of its own.
const (
	addr     = "127.0.0.1:8080"
	upstream = "127.0.0.1:9090"
	group    = "230.185.192.108"
)

func contests() []contest {
	const echo = "TCP-LISTEN:8080,bind=127.0.0.1,reuseaddr,fork,backlog=4096 PIPE"
	const file = "TCP-LISTEN:8080,bind=127.0.0.1,reuseaddr,fork OPEN:" + memory + ",append"
	const relay = "TCP-LISTEN:8080,bind=127.0.0.1,reuseaddr,fork TCP:" + upstream

	all := []contest{{
		name: "pipe into a file", unit: "MB/s",
		entries: append(by(intoFile,
			ours("tcp_server/pipe", "-to", memory), node("tcp_server/pipe", "--to", memory),
			tool("socat -u "+file), tool("socat -b 131072 -u "+file)), iperf3()),
	}, {
		name: "relay", unit: "MB/s",
		entries: append(by(throughRelay,
			ours("tcp_server/relay", "-to", upstream), node("tcp_server/relay", "--to", upstream),
			tool("socat "+relay), tool("socat -b 131072 "+relay)), iperf3()),
	}}
	for _, n := range []int{1, 10, 100, 1000} {
		all = append(all, contest{
			name: fmt.Sprintf("echo, %d at once", n), unit: "round trips/s",
			entries: by(roundTrips("tcp", n),
				ours("tcp_server/server"), node("tcp_server/server"), tool("socat "+echo),
				bareProgram("limit: bare epoll loop", 0.75, "tcp-echo")),
		})
	}
	all = append(all, contest{
		name: "connections accepted", unit: "connections/s",
		entries: by(accepts,
			ours("tcp_server/server"), node("tcp_server/server"), tool("socat "+echo),
			bareProgram("limit: bare epoll loop", 0.75, "tcp-echo")),
	})
	// An echo by io.Copy holds three descriptors, see README.md; hundreds fewer
	// than the limit allows, to leave room for what else is open.
	most := min(10000, int(descriptors()/3)/100*100-100)
	for _, n := range []int{1000, most} {
		c := contest{
			name: fmt.Sprintf("memory of an idle connection, %d of them", n), unit: "KiB", less: true,
			entries: by(idle(n), ours("tcp_server/server"), node("tcp_server/server")),
		}
		if n == 1000 { // a process for each
			c.entries = append(c.entries, by(idle(n), tool("socat "+echo))...)
		}
		all = append(all, c)
	}
	for _, n := range []int{1, 100} {
		all = append(all, contest{
			name: fmt.Sprintf("UDP echo, %d at once", n), unit: "round trips/s",
			entries: by(roundTrips("udp", n),
				ours("udp_server/server"), node("udp_server/server"),
				bareProgram("limit: bare recvmsg loop", 0.75, "udp", "echo"),
				bareProgram("the same, printing a line each", 0.75, "udp", "echo", "print")),
		})
	}
	all = append(all, contest{
		name: "UDP datagrams received", unit: "datagrams/s",
		entries: by(flood(1, false),
			ours("broadcast/client", "-addr", "0.0.0.0:8080"), node("broadcast/client", "--addr", "0.0.0.0:8080"), tool("socat -u UDP-RECV:8080 STDOUT"),
			bareProgram("limit: bare recvmsg loop", 0.75, "udp"),
			bareProgram("the same, printing a line each", 0.75, "udp", "print"),
			bareProgram("in batches: bare recvmmsg loop", 0, "udp-batch"),
			bareProgram("in batches: ReadBatch of golang.org/x/net", 0, "ReadBatch")),
	})
	for _, n := range []int{1, 10, 100} {
		all = append(all, contest{
			name: fmt.Sprintf("multicast received, members: %d", n), unit: "datagrams/s",
			entries: by(flood(n, true),
				ours("multicast/client"), node("multicast/client"),
				bareProgram("limit: bare recvmsg loop", 0.75, "udp", group),
				bareProgram("the same, printing a line each", 0.75, "udp", "print", group),
				bareProgram("in batches: bare recvmmsg loop", 0, "udp-batch", group),
				bareProgram("in batches: ReadBatch of golang.org/x/net", 0, "ReadBatch", group)),
		})
	}
	all = append(all, contest{
		name: "from start to the ready line", unit: "ms", less: true,
		entries: by(startup,
			ours("tcp_server/server"), node("tcp_server/server"), tool("socat -d -d "+echo),
			command("go run, built before", 0, "go", "run", "./tcp_server/server")),
	}, suite())
	return all
}

// program is a command to measure.
type program struct {
	name   string
	aim    float64
	absent string
	args   []string
}

// load is a measurement: what a program is put to, and how well it does.
type load func(t testing.TB, p program) (score, error)

// by makes an entry of each program, under that load.
func by(load load, programs ...program) (entries []entry) {
	for _, p := range programs {
		entries = append(entries, entry{p.name, p.aim, p.absent, func(t testing.TB) (score, error) { return load(t, p) }})
	}
	return entries
}

func command(name string, aim float64, args ...string) program {
	p := program{name: name, aim: aim, args: args}
	if path, err := exec.LookPath(args[0]); err != nil {
		p.absent = "no " + filepath.Base(args[0]) + " here"
	} else {
		p.args[0] = path
	}
	return p
}

// ours is a section as it stands on its page.
func ours(section string, args ...string) program {
	name := strings.Replace(section, "/", ":", 1)
	path, err := harness.Path(section)
	if err != nil {
		return program{name: name, absent: err.Error()}
	}
	return command(name, 0, append([]string{path}, args...)...)
}

// node is a section's counterpart in Node.
func node(section string, args ...string) program {
	path := section + "/main.js"
	p := command("Node", 3, append([]string{"node", path}, args...)...)
	if _, err := os.Stat(path); err != nil {
		p.absent = "no " + path + " here"
	}
	return p
}

// tool is a command line without quotes.
func tool(line string) program {
	args := strings.Fields(line)
	name := args[0]
	if args[1] == "-b" {
		name += " -b " + args[2]
	}
	return command(name, 1, args...)
}

// bareProgram is this program in one of the parts that bare knows.
func bareProgram(name string, aim float64, args ...string) program {
	self, err := os.Executable()
	if err != nil {
		return program{name: name, absent: err.Error()}
	}
	return command(name, aim, append([]string{self, "bare"}, args...)...)
}
