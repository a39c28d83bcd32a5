package peer

import (
	"encoding/binary"
	"io"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"example.com/sockets/integration/lab"
)

// NameServer answers DNS queries (RFC 1035) on a host until the test ends, over UDP and TCP:
// of names, as "server.test", and their addresses. Of all other names it says that there are
// none. It calls asked, if not nil, with each question, as "AAAA server.test", and answers
// when that has returned. An answer of more than 512 bytes is empty and truncated over UDP.
func NameServer(t *testing.T, on *lab.Host, addr string, names map[string][]string, asked func(question string)) {
	t.Helper()
	conn := ListenUDP(t, on, "udp", addr)
	conn.SetDeadline(time.Time{})
	ln := ListenTCP(t, on, conn.LocalAddr().String())
	ln.SetDeadline(time.Time{})
	// reply answers one query, at most so long, by send.
	reply := func(query []byte, most int, send func(answer []byte)) {
		var m dnsmessage.Message
		if m.Unpack(query) != nil || len(m.Questions) != 1 {
			return
		}
		go func() {
			if asked != nil {
				asked(strings.TrimPrefix(m.Questions[0].Type.String(), "Type") + " " + name(m))
			}
			if answer, err := answer(m, names, most); err == nil {
				send(answer)
			}
		}()
	}
	go func() {
		for buf := make([]byte, 512); ; {
			n, from, err := conn.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			reply(buf[:n], 512, func(answer []byte) { conn.WriteToUDPAddrPort(answer, from) })
		}
	}()
	go func() {
		for {
			conn, err := ln.AcceptTCP()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				for size := make([]byte, 2); ; { // in front of each message
					if _, err := io.ReadFull(conn, size); err != nil {
						return
					}
					query := make([]byte, binary.BigEndian.Uint16(size))
					if _, err := io.ReadFull(conn, query); err != nil {
						return
					}
					reply(query, 65535, func(answer []byte) {
						conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...))
					})
				}
			}()
		}
	}()
}

// name returns the name that a query asks for.
func name(m dnsmessage.Message) string { return strings.TrimSuffix(m.Questions[0].Name.String(), ".") }

// answer answers a query's one question, or says that this would be too long.
func answer(m dnsmessage.Message, names map[string][]string, most int) ([]byte, error) {
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
	packed, err := m.Pack()
	if len(packed) > most {
		m.Truncated, m.Answers = true, nil
		return m.Pack()
	}
	return packed, err
}
