package all

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
)

// Peers that are hostile, or only unlucky. What each does to its own connection
// is its own loss: the others are served, and when it has gone the server is as
// it was before. (For a lack of descriptors see TestServersExhausted.)

// illTreatments are what a client may do. Those that return with the connection
// still open end it with the returned function.
var illTreatments = map[string]func(t *testing.T, conn *net.TCPConn) (leave func()){
	"vanishes": func(t *testing.T, conn *net.TCPConn) func() {
		conn.Close()
		return nil
	},
	"resets at once": func(t *testing.T, conn *net.TCPConn) func() {
		peer.Reset(t, conn)
		return nil
	},
	"resets in mid-send": func(t *testing.T, conn *net.TCPConn) func() {
		send(conn, 300_000)
		peer.Reset(t, conn)
		return nil
	},
	"resets after its FIN": func(t *testing.T, conn *net.TCPConn) func() {
		peer.Write(t, conn, "hello")
		assert.NilError(t, conn.CloseWrite())
		peer.Reset(t, conn)
		return nil
	},
	"closes with much unread": func(t *testing.T, conn *net.TCPConn) func() {
		send(conn, 300_000) // and the kernel resets for it (RFC 2525, 2.17)
		conn.Close()
		return nil
	},
	"sends a byte at a time": func(t *testing.T, conn *net.TCPConn) func() {
		for range 50 {
			peer.Write(t, conn, "x")
		}
		return func() { peer.Finish(t, conn) }
	},
	"never reads": func(t *testing.T, conn *net.TCPConn) func() {
		send(conn, 1_000_000)
		return func() { conn.Close() }
	},
	"never closes its half": func(t *testing.T, conn *net.TCPConn) func() {
		return func() { conn.Close() }
	},
	"never closes the other half": func(t *testing.T, conn *net.TCPConn) func() {
		assert.NilError(t, conn.CloseWrite())
		return func() { conn.Close() }
	},
}

// send sends n bytes, or what goes without the server's having to wait for us to
// read: it may be an echo.
func send(conn *net.TCPConn, n int) {
	conn.SetWriteDeadline(time.Now().Add(20 * time.Millisecond))
	conn.Write(peer.Noise(n))
	conn.SetWriteDeadline(time.Now().Add(harness.Patience()))
}

func TestHostilePeers(t *testing.T) {
	t.Parallel()
	var sections []string
	for _, s := range everyServer(t) {
		sections = append(sections, "tcp_server/"+s.Section)
	}
	complete(t, "tcp_server/", sections, "tcp_server/address", "tcp_server/listen")
	for _, s := range everyServer(t) {
		t.Run(s.Section, func(t *testing.T) {
			t.Parallel()
			h := lab.NewHost(t, "h")
			p := s.Start(t, h, "-addr", "127.0.0.1:0")
			addr := p.Ready()
			before := peer.SocketsAmong(peer.Descriptors(t, p))

			const each, waves = 4, 3
			var resident [waves]int
			for wave := range waves {
				peer.Freeze(t, p) // so that some are gone before it accepts them
				var leaves []func()
				for range each {
					for _, treat := range []string{"vanishes", "resets at once", "resets after its FIN"} {
						illTreatments[treat](t, peer.DialTCP(t, h, addr))
					}
				}
				p.Signal(syscall.SIGCONT)
				for range each {
					for _, treat := range slices.Sorted(maps.Keys(illTreatments)) {
						if leave := illTreatments[treat](t, peer.DialTCP(t, h, addr)); leave != nil {
							leaves = append(leaves, leave)
						}
					}
				}
				s.Serves(t, p, peer.DialTCP(t, h, addr)) // with all of them there
				for _, leave := range leaves {
					leave()
				}
				peer.Until(t, "they are closed", func() bool { return peer.SocketsAmong(peer.Descriptors(t, p)) == before })
				s.Serves(t, p, peer.DialTCP(t, h, addr)) // and with all of them gone
				// Go keeps the pipes of splice(2) for connections to come, until it
				// next collects garbage: no more than there were connections at once.
				// (With the race detector a sync.Pool forgets some on purpose.)
				most := 16 + 2*each*len(illTreatments)
				assert.Assert(t, harness.Race() || len(peer.Descriptors(t, p)) <= most, "%v", peer.Descriptors(t, p))
				resident[wave] = residentKiB(t, p)
			}
			// 48 clients a wave: a buffer or a stack kept for each would show.
			grown := resident[waves-1] - resident[0]
			t.Logf("%s: %d sockets, %d KiB after the first wave, %+d KiB after %d", s.Section, before, resident[0], grown, waves)
			assert.Assert(t, grown < 16<<10, "%d KiB more than after the first wave: %v", grown, resident)

			p.Signal(syscall.SIGTERM)
			p.Await("closed")
			p.ExitSaying(0, complaints(s, "connection reset by peer|broken pipe"))
		})
	}
}

// complaints is the pattern of what a server may say of its clients: causes that any
// may have, and its own.
func complaints(s peer.Server, causes string) string {
	return fmt.Sprintf(`(%s: .*: (%s)\n)*`, s.Section, strings.Trim(causes+"|"+s.Complains, "|"))
}

// residentKiB is the memory that a program holds, VmRSS in proc_pid_status(5).
func residentKiB(t *testing.T, p *harness.Program) (n int) {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Pid()))
	assert.NilError(t, err)
	_, after, _ := strings.Cut(string(status), "VmRSS:")
	_, err = fmt.Sscan(after, &n)
	assert.NilError(t, err)
	return n
}

// Half-open clients by the hundred, and they still get what is theirs: 300 say
// hello and FIN before any of them reads.
func TestHostileHalfOpenClients(t *testing.T) {
	t.Parallel()
	for _, s := range everyServer(t) {
		if !s.Echoes {
			continue
		}
		t.Run(s.Section, func(t *testing.T) {
			t.Parallel()
			h := lab.NewHost(t, "h")
			p := s.Start(t, h, "-addr", "127.0.0.1:0")
			addr := p.Ready()
			var conns []*net.TCPConn
			for range 300 {
				conn := peer.DialTCP(t, h, addr)
				peer.Write(t, conn, "hello")
				assert.NilError(t, conn.CloseWrite())
				conns = append(conns, conn)
			}
			for _, conn := range conns {
				got, err := io.ReadAll(conn)
				assert.NilError(t, err)
				assert.Equal(t, string(got), "hello")
			}
			p.Stop()
		})
	}
}

// Rubbish to every port of every program that hears datagrams: all sizes, and
// senders that do not exist or may not. It still hears the next one.
func TestHostileDatagrams(t *testing.T) {
	t.Parallel()
	lab.Require(t, "namespaces", lab.Isolated())
	for _, c := range []struct {
		section string
		args    []string
		to      string
		prints  bool // each datagram
		replies bool
		only    string // the one sender that it hears
	}{
		{"udp_server/server", []string{"-addr", peer.Here}, peer.Here, true, true, ""},
		{"udp_server/bind", []string{"-addr", peer.Here}, peer.Here, false, false, ""},
		{"udp_server/address", []string{"-addr", peer.Here}, peer.Here, false, false, ""},
		{"udp_server/buffer_sizes", []string{"-addr", peer.Here}, peer.Here, false, true, ""},
		{"udp_server/packet_info", []string{"-addr", peer.Here}, peer.Here, true, true, ""},
		{"udp_server/truncated", []string{"-addr", peer.Here, "-grow"}, peer.Here, true, true, ""},
		{"udp_client/connect", []string{"-from", peer.Here}, peer.Here, true, false, ""},
		{"broadcast/client", []string{"-addr", "0.0.0.0:8080"}, "10.0.0.255:8080", true, false, ""},
		{"multicast/client", []string{"-interface", "eth0"}, peer.NotesGroup, true, false, ""},
		{"multicast/membership", []string{"-interface", "eth0", "-leave-after", "1h"}, peer.NotesGroup, true, false, ""},
		{"multicast/source", []string{"-interface", "eth0", "-source", "10.0.0.2"}, peer.SourceGroup, true, false, "10.0.0.2"},
	} {
		if !built(c.section) {
			continue
		}
		t.Run(c.section, func(t *testing.T) {
			t.Parallel()
			client, server := lab.NewHost(t, "client"), lab.NewHost(t, "server")
			lab.Link(t, server, "10.0.0.1/24", client, "10.0.0.2/24")
			p := harness.Start(t, server, c.section, c.args...)
			p.Line("listening on .*")
			if strings.HasPrefix(c.section, "multicast/") {
				p.Line("joined .*")
			}
			before := len(peer.Descriptors(t, p))
			to, err := net.ResolveUDPAddr("udp4", c.to)
			assert.NilError(t, err)

			raw := peer.RawIPv4(t, client)
			for _, from := range []struct {
				ip    string
				port  int
				heard bool
			}{
				{"10.0.0.77", 1234, true},  // there is no such host, and no reply reaches it
				{"10.0.0.2", 0, true},      // no port to reply to (RFC 768)
				{"10.0.0.255", 1234, true}, // everybody on the link; Linux looks closer only with rp_filter (ip-sysctl)
				{"127.0.0.1", 1234, false},
				{"10.0.0.1", 1234, false}, // the server itself, it says
				{"255.255.255.255", 1234, false},
				{"224.0.0.1", 1234, false},
			} {
				peer.Spoof(t, raw, net.ParseIP(from.ip), from.port, to, "spoofed")
				if c.prints && from.heard && (c.only == "" || c.only == from.ip) {
					p.Line(fmt.Sprintf(`%s:%d\b.*"spoofed"`, from.ip, from.port))
				}
			}

			conn := peer.ListenUDP(t, client, "udp4", "10.0.0.2:0")
			peer.AllowBroadcast(t, conn)
			sizes := []int{0, 1, 63, 64, 65, 1471, 1472, 1473, 65506, 65507}
			for n := 2; n < 65507; n = n*3 + 1 {
				sizes = append(sizes, n)
			}
			for _, n := range sizes {
				data := peer.Noise(n)
				_, err := conn.WriteToUDP(data, to)
				if n > 1472 && errors.Is(err, syscall.EMSGSIZE) {
					continue // broadcasts are not cut to pieces (ip(7))
				}
				assert.NilError(t, err)
				if !c.prints {
					continue
				}
				shown := fmt.Sprintf("%.64q", data)
				if line := p.Line(`(.*)`)[0]; !strings.HasSuffix(line, shown) || !strings.HasPrefix(line, peer.AddrOf(conn).String()) {
					t.Fatalf("%d bytes from %v: %s printed %q, want %s at its end", n, peer.AddrOf(conn), c.section, line, shown)
				}
			}
			assert.Equal(t, len(peer.Descriptors(t, p)), before)
			complaint := ""
			if c.replies { // to port 0
				complaint = path.Base(c.section) + `: write udp .*->10\.0\.0\.2:0: .*invalid argument\n`
			}
			p.Complaint(complaint) // it may not have come to that yet
			p.Signal(syscall.SIGTERM)
			p.Await("closed")
			p.ExitSaying(0, complaint)
		})
	}
}

// A signal may come at any moment: before a program has said that it is ready,
// twice at once, and in the middle of a transfer. It ends, in good order or by
// the signal, and leaves no word of trouble.
func TestHostileSignals(t *testing.T) {
	t.Parallel()
	for _, section := range harness.Sections() {
		t.Run(section, func(t *testing.T) {
			t.Parallel()
			h := lab.NewHost(t, "h")
			switch chapter, _, _ := strings.Cut(section, "/"); chapter {
			case "tcp_client": // whose peer says nothing
				peer.ListenTCP(t, h, "127.0.0.1:8080")
			case "udp_client":
				peer.ListenUDP(t, h, "udp4", "127.0.0.1:8080")
			}
			var args []string
			if strings.HasSuffix(section, "pipe") {
				args = []string{"-to", t.TempDir() + "/message.txt"}
			}
			if section == "multicast/scopes" {
				args = []string{"224.0.0.1"}
			}
			for n := range 6 {
				cmd := exec.Command(harness.Binary(t, section), args...)
				p := harness.Command(t, h, cmd)
				if n >= 4 {
					p.Await(".*") // it is ready
				}
				for range n%2 + 1 {
					err := cmd.Process.Signal([]os.Signal{syscall.SIGTERM, syscall.SIGINT}[n/2%2])
					assert.Assert(t, err == nil || errors.Is(err, os.ErrProcessDone), "%v", err)
				}
				code := p.Wait()
				assert.Assert(t, code == 0 || code == -1, "%v", cmd.ProcessState)
				p.Complaint("")
			}
		})
	}
}

// In the middle of a transfer a signal cuts connections off: what had come back
// until then is the beginning of what was sent.
func TestHostileSignalInMidTransfer(t *testing.T) {
	t.Parallel()
	for _, s := range everyServer(t) {
		if s.Section == "close" { // it waits for its clients, see tcp_server.TestCloseServesTheRest
			continue
		}
		t.Run(s.Section, func(t *testing.T) {
			t.Parallel()
			h := lab.NewHost(t, "h")
			data := peer.Noise(peer.Overfill(t, h))
			p := s.Start(t, h, "-addr", "127.0.0.1:0")
			conn := peer.DialTCP(t, h, p.Ready())
			moving := make(chan struct{})
			go func() {
				conn.Write(data[:1<<20])
				close(moving)
				conn.Write(data[1<<20:]) // fails somewhere
			}()
			head := make([]byte, 1<<20)
			if s.Echoes && s.Section != "half_open" {
				_, err := io.ReadFull(conn, head)
				assert.NilError(t, err)
				assert.Assert(t, bytes.Equal(head, data[:len(head)]))
			} else {
				<-moving
			}
			p.Signal(syscall.SIGTERM)
			rest, _ := io.ReadAll(conn) // until FIN or RST
			if s.Echoes && s.Section != "half_open" {
				assert.Assert(t, bytes.HasPrefix(data[len(head):], rest))
			}
			p.Await("closed") // others may still say something
			assert.Equal(t, p.Wait(), 0)
			p.Complaint(complaints(s, ""))
		})
	}
}
