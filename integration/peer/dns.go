package peer

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"example.com/sockets/integration/lab"
)

// NameServer answers DNS queries (RFC 1035) on a host until the test ends: of names, as
// "server.test", and their addresses. Of all other names it says that there are none. It
// calls asked, if not nil, with each question, as "AAAA server.test", and answers when
// that has returned.
func NameServer(t *testing.T, on *lab.Host, addr string, names map[string][]string, asked func(question string)) {
	t.Helper()
	conn := ListenUDP(t, on, "udp", addr)
	conn.SetDeadline(time.Time{})
	go func() {
		for buf := make([]byte, 512); ; {
			n, from, err := conn.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(buf[:n]) != nil || len(m.Questions) != 1 {
				continue
			}
			go func() {
				if asked != nil {
					asked(strings.TrimPrefix(m.Questions[0].Type.String(), "Type") + " " + name(m))
				}
				if answer, err := answer(m, names); err == nil {
					conn.WriteToUDPAddrPort(answer, from)
				}
			}()
		}
	}()
}

// name returns the name that a query asks for.
func name(m dnsmessage.Message) string { return strings.TrimSuffix(m.Questions[0].Name.String(), ".") }

// answer answers a query's one question.
func answer(m dnsmessage.Message, names map[string][]string) ([]byte, error) {
	addrs, known := names[name(m)]
	m.Response, m.RecursionAvailable, m.Additionals = true, true, nil
	if !known {
		m.RCode = dnsmessage.RCodeNameError
	}
	question := m.Questions[0]
	for _, text := range addrs {
		var body dnsmessage.ResourceBody
		switch addr := netip.MustParseAddr(text); {
		case addr.Is4() && question.Type == dnsmessage.TypeA:
			body = &dnsmessage.AResource{A: addr.As4()}
		case addr.Is6() && question.Type == dnsmessage.TypeAAAA:
			body = &dnsmessage.AAAAResource{AAAA: addr.As16()}
		default:
			continue
		}
		head := dnsmessage.ResourceHeader{Name: question.Name, Class: question.Class, TTL: 60}
		m.Answers = append(m.Answers, dnsmessage.Resource{Header: head, Body: body})
	}
	return m.Pack()
}
