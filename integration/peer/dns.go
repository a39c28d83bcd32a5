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
// "server.test", and their addresses. Of all other names it says that there are none.
func NameServer(t *testing.T, on *lab.Host, addr string, names map[string][]string) {
	t.Helper()
	conn := ListenUDP(t, on, "udp", addr)
	conn.SetDeadline(time.Time{})
	go func() {
		for buf := make([]byte, 512); ; {
			n, from, err := conn.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			if answer, ok := answer(buf[:n], names); ok {
				conn.WriteToUDPAddrPort(answer, from)
			}
		}
	}()
}

// answer answers a query's one question.
func answer(query []byte, names map[string][]string) (answer []byte, ok bool) {
	var m dnsmessage.Message
	if m.Unpack(query) != nil || len(m.Questions) != 1 {
		return nil, false
	}
	question := m.Questions[0]
	addrs, known := names[strings.TrimSuffix(question.Name.String(), ".")]
	m.Response, m.RecursionAvailable, m.Additionals = true, true, nil
	if !known {
		m.RCode = dnsmessage.RCodeNameError
	}
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
	answer, err := m.Pack()
	return answer, err == nil
}
