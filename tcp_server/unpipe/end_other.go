//go:build !linux

package main

import (
	"io"
	"log"
	"net"
)

// awaitEnd waits until the peer has sent its FIN or a reset. Only Linux tells
// without reading: here what still arrives is read and thrown away.
func awaitEnd(conn *net.TCPConn) error {
	log.Printf("%v: only reading tells here that the peer has left: throwing away what it sends", conn.RemoteAddr())
	_, err := io.Copy(io.Discard, conn)
	return err
}
