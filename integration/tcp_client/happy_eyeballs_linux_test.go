package tcp_client

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	"gotest.tools/v3/golden"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
	"example.com/sockets/integration/wire"
)

// The server's two addresses, and some where nobody answers (2001:db8::/32 is RFC 3849's).
const (
	four, six           = "10.0.0.1:8080", "[2001:db8::1]:8080"
	deadFour, deadFour2 = "10.0.9.1:8080", "10.0.9.2:8080"
	deadSix, deadSix2   = "[2001:db8:9::1]:8080", "[2001:db8:9::2]:8080"

	givenUp                        = "failed: .* given up"
	foundFour, foundSix, foundDead = `found 10\.0\.0\.1`, "found 2001:db8::1", "found 2001:db8:9::1"
)

// twoFamilies joins a client to a server, each with an address of either family, and
// captures what crosses the cable. Of the names that the client knows, to "server" both
// of its addresses belong; of "dual" IPv6 is dead, of "slow" IPv4; "dead" has two dead
// ones of each.
func twoFamilies(t *testing.T, client *lab.Host) (server *lab.Host, c *wire.Capture) {
	t.Helper()
	server = lab.NewHost(t, "server")
	lab.Link(t, server, "10.0.0.1/24 2001:db8::1/64", client, "10.0.0.2/24 2001:db8::2/64")
	client.Route(t, "10.0.9.0/24", "10.0.0.1")
	client.Route(t, "2001:db8:9::/48", "2001:db8::1")
	server.Forward(t)
	server.Reject(t, "10.0.9.0/24", lab.Blackhole)
	server.Reject(t, "2001:db8:9::/48", lab.Blackhole)
	peer.Names(t, client, "10.0.0.1 server", "2001:db8::1 server", "10.0.0.1 dual", "2001:db8:9::1 dual",
		"10.0.9.1 slow", "2001:db8::1 slow", "10.0.9.1 dead", "10.0.9.2 dead", "2001:db8:9::1 dead", "2001:db8:9::2 dead")
	return server, wire.Start(t, client, "eth0")
}

// synsTo returns the addresses to which SYNs went, in the order of the first to each.
func synsTo(events []wire.Event) (to []string) {
	for _, e := range wire.Only(events, wire.SYN) {
		to = append(to, e.To.String())
	}
	return to
}

// socketsOf tells how many sockets a program has.
func socketsOf(t *testing.T, p *harness.Program) int {
	t.Helper()
	return peer.SocketsAmong(peer.Descriptors(t, p))
}

// parties are the lines of this section's diagrams.
var parties = []wire.Party{{Name: "client", Addr: "10.0.0.2"}, {Name: "client", Addr: "2001:db8::2"},
	{Name: "IPv6", Addr: "2001:db8::1"}, {Name: "IPv4", Addr: "10.0.0.1"}}

// Where IPv6 does not answer IPv4's SYN follows, 300 ms after IPv6's in Go and 250 in Node,
// and wins. Then there is one socket, and no SYN to IPv6 any more.
func TestHappyEyeballsSilent(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		server, c := twoFamilies(t, h)
		ln := peer.ListenTCP(t, server, four)
		seen := 0
		for run := 1; ; run++ {
			p, delay := eyeballs(start, "dual:8080"), 300*time.Millisecond
			p.Line(foundDead)
			p.Line(foundFour)
			tries(p, deadSix)
			switch {
			case p.Foreign(): // either way
				delay = 200 * time.Millisecond
				p.Await(`trying 10\.0\.0\.1:8080`)
			case p.Section == "node":
				delay = 250 * time.Millisecond
				p.Line(givenUp)
				fallthrough
			default:
				tries(p, four)
			}
			connects(p, four)
			peer.Until(t, "the other attempt's socket is closed", func() bool { return socketsOf(t, p) == 1 })
			closed := time.Now()
			remote := peer.AcceptTCP(t, ln)
			p.Stop()
			assert.Equal(t, readToFIN(t, remote), "")
			remote.Close()
			assert.Assert(t, !strings.Contains(strings.Join(p.Lines(), ""), "cancel"))

			events := c.Await("both FINs", peer.Seen(wire.FIN, 2*run))[seen:]
			seen += len(events)
			events = slices.DeleteFunc(events, func(e wire.Event) bool { // on a machine that was held up for long
				return e.Kind == wire.SYNAgain && e.Time.Before(closed)
			})
			dead := slices.Clone(parties)
			dead[2].Addr = "2001:db8:9::1"
			golden.Assert(t, wire.Diagram(events[:4], dead...).Mermaid(), "happy_eyeballs.mmd")
			assert.DeepEqual(t, synsTo(events), []string{deadSix, four})
			assert.Equal(t, len(wire.Only(events, wire.SYNAgain)), 0)
			after := events[1].Time.Sub(events[0].Time)
			if after > delay-5*time.Millisecond {
				break
			}
			// The time begins before the SYN: one that was held up in between is late.
			assert.Assert(t, run < 10, "%v after", after)
		}
	})
}

// Where IPv6 refuses, IPv4's SYN follows at once, however long it would have waited.
func TestHappyEyeballsRefused(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		server, c := twoFamilies(t, h)
		peer.ListenTCP(t, server, four)
		p := eyeballs(start, "server:8080", "--delay", "1h")
		p.Line(foundSix)
		p.Line(foundFour)
		tries(p, six)
		fails(p, six, "2001:db8::1")
		tries(p, four)
		connects(p, four)
		events := c.Await("the ACK", peer.Seen(wire.ACK, 1))
		golden.Assert(t, wire.Diagram(events, parties...).Mermaid(), "happy_eyeballs_refused.mmd")
		p.Stop()
	})
}

// When all addresses refuse each is told of. The last word is the first one's error in Go,
// and a code in Node.
func TestHappyEyeballsAllFail(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		twoFamilies(t, h)
		p := eyeballs(start, "server:8080", "--delay", "1h")
		p.Line(foundSix)
		p.Line(foundFour)
		tries(p, six)
		fails(p, six, "2001:db8::1")
		tries(p, four)
		fails(p, four, `10\.0\.0\.1`)
		p.ExitSaying(1, `happy_eyeballs: (dial tcp \[2001:db8::1\]:8080: connect: connection refused|ECONNREFUSED)\n`)
	})
}

// With -family only that one is asked for, and only that one is tried.
func TestHappyEyeballsFamily(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		server, c := twoFamilies(t, h)
		peer.ListenTCP(t, server, four)
		peer.ListenTCP(t, server, six)
		questions := make(chan string, 100)
		names := map[string][]string{"server.test": {"10.0.0.1", "2001:db8::1"}}
		peer.NameServer(t, server, "10.0.0.1:53", names, func(question string) { questions <- question })
		peer.Asks(t, h, "10.0.0.1")
		for _, of := range []struct{ family, question, found, addr string }{
			{"4", "A server.test", foundFour, four},
			{"6", "AAAA server.test", foundSix, six},
		} {
			p := eyeballs(start, "server.test:8080", "--family", of.family)
			p.Line(of.found)
			tries(p, of.addr)
			connects(p, of.addr)
			p.Stop()
			assert.Equal(t, <-questions, of.question)
			for len(questions) > 0 { // it may be asked again
				assert.Equal(t, <-questions, of.question)
			}
		}
		assert.DeepEqual(t, synsTo(c.Settle()), []string{four, six})
	})
}

// Of the addresses of one family Go tries all, one after the other; Node, asked for that
// family, has one.
func TestHappyEyeballsOneFamily(t *testing.T) {
	tried := func(addresses int) func(t *testing.T, h *lab.Host, start harness.Starter) {
		return func(t *testing.T, h *lab.Host, start harness.Starter) {
			lab.Link(t, lab.NewHost(t, "server"), "10.0.0.1/24 10.0.0.3/24", h, "10.0.0.2/24")
			peer.Names(t, h, "10.0.0.1 server", "10.0.0.3 server")
			c := wire.Start(t, h, "eth0")
			p := eyeballs(start, "server:8080", "--family", "4")
			p.Await("failed: .*")
			if addresses == 2 {
				p.Line("trying .*")
				p.Line("failed: .*")
			}
			p.ExitSaying(1, `happy_eyeballs: .*(connection refused|ECONNREFUSED).*\n`)
			events := c.Settle()
			for n := range addresses {
				assert.Equal(t, events[2*n].Kind, wire.SYN)
				assert.Equal(t, events[2*n+1].Kind, wire.RST)
			}
			assert.Equal(t, len(events), 2*addresses)
		}
	}
	harness.Compare(t, tried(2), tried(1))
}

// With no race Go tries one address after the other, and the second only when the first
// has failed; Node, without autoSelectFamily, tries the first and no other.
func TestHappyEyeballsNoRace(t *testing.T) {
	harness.Compare(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		server, c := twoFamilies(t, h)
		peer.ListenTCP(t, server, four)
		p := eyeballs(start, "server:8080", "--delay=-1s")
		p.Line(foundSix)
		p.Line(foundFour)
		tries(p, six)
		fails(p, six, "2001:db8::1")
		tries(p, four)
		connects(p, four)
		p.Stop()
		n := len(c.Await("FIN", peer.Seen(wire.FIN, 1)))
		p = eyeballs(start, "dual:8080", "--delay=-1s")
		events := c.Await("SYN again", peer.Seen(wire.SYNAgain, 1))[n:] // a second later
		assert.DeepEqual(t, synsTo(events), []string{deadSix})
		p.Stop()
	}, func(t *testing.T, h *lab.Host, start harness.Starter) {
		server, c := twoFamilies(t, h)
		peer.ListenTCP(t, server, four)
		p := eyeballs(start, "server:8080", "--delay=-1s")
		p.Line(foundSix)
		tries(p, six)
		fails(p, six, "2001:db8::1")
		p.ExitSaying(1, `happy_eyeballs: connect ECONNREFUSED 2001:db8::1:8080\n`)
		assert.DeepEqual(t, synsTo(c.Settle()), []string{six})
	})
}

// The loser is no connection: when it could have become one its socket is closed.
func TestHappyEyeballsLoser(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		server, _ := twoFamilies(t, h)
		slow, unblock := roomlessListener(t, server, six)
		ln := peer.ListenTCP(t, server, four)
		p := eyeballs(start, "server:8080")
		p.Await("connected to 10\\.0\\.0\\.1:8080 from .*")
		peer.AcceptTCP(t, ln)
		peer.Until(t, "the loser's socket is closed", func() bool { return socketsOf(t, p) == 1 })
		unblock()
		ours := peer.DialTCP(t, h, six)
		assert.Equal(t, peer.AcceptTCP(t, slow).RemoteAddr().String(), ours.LocalAddr().String())
		p.Stop()
	})
}

// Where IPv4 is dead, and IPv6 answers later than the other's turn has come, Go connects
// by IPv6: nobody is given up. Node has given it up, and waits for IPv4.
func TestHappyEyeballsSlow(t *testing.T) {
	slow := func(t *testing.T, h *lab.Host, start harness.Starter) (p *harness.Program, c *wire.Capture) {
		server, c := twoFamilies(t, h)
		_, unblock := roomlessListener(t, server, six)
		p = eyeballs(start, "slow:8080")
		p.Await("trying 10\\.0\\.9\\.1:8080")
		unblock() // and the next SYN is answered
		return p, c
	}
	harness.Compare(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		p, _ := slow(t, h, start)
		connects(p, six)
		p.Stop()
	}, func(t *testing.T, h *lab.Host, start harness.Starter) {
		p, c := slow(t, h, start)
		events := c.Await("IPv4's SYN again", func(events []wire.Event) bool { // long after IPv6 would have answered
			return slices.ContainsFunc(events, func(e wire.Event) bool { return e.Kind == wire.SYNAgain && e.To.String() == deadFour })
		})
		assert.DeepEqual(t, synsTo(events), []string{six, deadFour})
		assert.Equal(t, len(wire.Only(events, wire.SYNACK)), 0)
		p.Stop()
		assert.Assert(t, !strings.Contains(strings.Join(p.Lines(), ""), "connected"))
	})
}

// Of four addresses that do not answer Go has one of each family under way at once, and no
// other; Node tries one after the other, the families in turn, and has one socket.
func TestHappyEyeballsDead(t *testing.T) {
	found := func(p *harness.Program) {
		for _, addr := range []string{"2001:db8:9::[12]", "2001:db8:9::[12]", `10\.0\.9\.[12]`, `10\.0\.9\.[12]`} {
			p.Line("found " + addr)
		}
	}
	harness.Compare(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		_, c := twoFamilies(t, h)
		p := eyeballs(start, "dead:8080")
		found(p)
		p.Line(`trying \[2001:db8:9::[12]\]:8080`)
		p.Line(`trying 10\.0\.9\.[12]:8080`)
		events := c.Await("both SYNs again", peer.Seen(wire.SYNAgain, 2))
		assert.Equal(t, len(synsTo(events)), 2)
		assert.Equal(t, socketsOf(t, p), 2)
		p.Stop()
	}, func(t *testing.T, h *lab.Host, start harness.Starter) {
		_, c := twoFamilies(t, h)
		p := eyeballs(start, "dead:8080", "--delay", "100ms")
		found(p)
		for n := range 4 {
			p.Line([]string{`trying \[2001:db8:9::[12]\]:8080`, `trying 10\.0\.9\.[12]:8080`}[n%2])
			if n < 3 {
				p.Line(givenUp)
			}
		}
		events := c.Await("the last SYN again", func(events []wire.Event) bool {
			syns := wire.Only(events, wire.SYN)
			return len(syns) == 4 && events[len(events)-1].To == syns[3].To && len(wire.Only(events, wire.SYNAgain)) > 0
		})
		syns := wire.Only(events, wire.SYN)
		assert.Assert(t, syns[3].Time.Sub(syns[0].Time) > 200*time.Millisecond)
		assert.Equal(t, socketsOf(t, p), 1)
		p.Stop()
	})
}

// No SYN is sent until both questions to the name server have been answered.
func TestHappyEyeballsLateAnswer(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		server, c := twoFamilies(t, h)
		peer.ListenTCP(t, server, four)
		again, release := make(chan struct{}), make(chan struct{})
		var mu sync.Mutex
		times := map[string]int{}
		names := map[string][]string{"server.test": {"10.0.0.1", "2001:db8::1"}}
		peer.NameServer(t, server, "10.0.0.1:53", names, func(question string) {
			mu.Lock()
			times[question]++
			if question == "AAAA server.test" && times[question] == 2 {
				close(again)
			}
			mu.Unlock()
			if question == "AAAA server.test" {
				<-release
			}
		})
		peer.Asks(t, h, "10.0.0.1")
		p := eyeballs(start, "server.test:8080")
		select {
		case <-again: // two seconds have passed
		case <-time.After(harness.Patience()):
			t.Error("no second question")
		}
		assert.Equal(t, len(synsTo(wire.Events(c.Packets()))), 0)
		close(release)
		p.Await("connected to 10\\.0\\.0\\.1:8080 from .*")
		p.Stop()
	})
}

// The addresses come sorted (RFC 6724): where the client has no IPv6 itself IPv4 is first,
// and in Go also before an IPv6 address of one's own network (fc00::/7).
func TestHappyEyeballsOrder(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		server := lab.NewHost(t, "server")
		lab.Link(t, server, "10.0.0.1/24 fd00::1/64", h, "10.0.0.2/24 fd00::2/64")
		peer.Names(t, h, "fd00::1 local", "10.0.0.1 local", "2001:db8::1 other", "10.0.0.1 other")
		peer.ListenTCP(t, server, four)
		for _, name := range []string{"other:8080", "local:8080"} {
			if name == "local:8080" && peer.InOurNode(t) {
				continue // either may be first
			}
			p := eyeballs(start, name, "--delay", "1h")
			if name == "other:8080" || !p.Foreign() { // which may ask the system
				p.Line(foundFour)
			}
			p.Await("connected to 10\\.0\\.0\\.1:8080 from .*")
			p.Stop()
		}
	})
}

// With -dns another name server than the system's is asked, though an error of Go's names
// the system's.
func TestHappyEyeballsDNS(t *testing.T) {
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		server, _ := twoFamilies(t, h)
		peer.ListenTCP(t, server, six)
		peer.NameServer(t, server, "10.0.0.1:5353", map[string][]string{"server.test": {"10.0.0.1", "2001:db8::1"}}, nil)
		p := eyeballs(start, "server.test:8080", "--dns", "10.0.0.1:5353", "--delay", "1h")
		p.Line(foundSix)
		p.Line(foundFour)
		tries(p, six)
		connects(p, six)
		p.Stop()
		eyeballs(start, "other.test:8080", "--dns", "10.0.0.1:5353").
			ExitSaying(1, `happy_eyeballs: (dial tcp: lookup other\.test on \S+:53: no such host|.*ENOTFOUND.*)\n`) // of resolv.conf's
		p = eyeballs(start, "server.test:8080", "--dns", "10.0.0.1:5353", "--family", "4")
		p.Line(foundFour)
		tries(p, four)
		p.Await("failed: .*")
		p.ExitSaying(1, `happy_eyeballs: .*(connection refused|ECONNREFUSED).*\n`)
	})
}

// An answer too long for a datagram is asked for again by TCP, of the same name server.
func TestHappyEyeballsTruncatedAnswer(t *testing.T) {
	harness.Ours(t, "how names are looked up is the resolver's affair, Go's or Node's")
	harness.Both(t, func(t *testing.T, h *lab.Host, start harness.Starter) {
		server, _ := twoFamilies(t, h)
		peer.ListenTCP(t, server, four)
		names := map[string][]string{"many.test": slices.Repeat([]string{"10.0.0.1"}, 40)} // 16 bytes each
		peer.NameServer(t, server, "10.0.0.1:5353", names, nil)
		p := eyeballs(start, "many.test:8080", "--dns", "10.0.0.1:5353")
		p.Await(`connected to 10\.0\.0\.1:8080 from .*`)
		p.Stop()
	})
}

// In Node the race is on by default, with 250 ms for an address (500 in later versions),
// and can be switched off for all; the socket lists the addresses tried.
func TestHappyEyeballsNodeDefaults(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	server, _ := twoFamilies(t, h)
	peer.ListenTCP(t, server, four)
	p := harness.NodeScript(t, h, `
		console.log(net.getDefaultAutoSelectFamily(), net.getDefaultAutoSelectFamilyAttemptTimeout())
		const socket = net.connect(8080, 'server', () => {
			console.log(socket.autoSelectFamilyAttemptedAddresses.join(' '))
			socket.destroy()
			net.setDefaultAutoSelectFamily(false)
			net.connect(8080, 'server').on('error', (err) => console.log(err.message))
		})`)
	p.Line("true (250|500)")
	p.Line(`2001:db8::1:8080 10\.0\.0\.1:8080`)
	p.Line("connect ECONNREFUSED 2001:db8::1:8080")
	p.Exit(0)
}

// The two programs as a reader starts them, where localhost is 127.0.0.1 and ::1.
func TestHappyEyeballsTranscript(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "h")
	peer.Names(t, h, "127.0.0.1 localhost", "::1 localhost") // as in Debian
	server := harness.Start(t, h, "tcp_server/server")
	server.Ready()
	client := harness.Start(t, h, "tcp_client/happy_eyeballs")
	from := client.Await(`connected to 127\.0\.0\.1:8080 from (\S+)`)[0]
	server.Line(from + " connected")
	client.Stop()
	server.Line(from + " closed after 0 bytes")
	server.Stop()
	harness.Transcript(t, "happy_eyeballs.txt", server, client)
}
