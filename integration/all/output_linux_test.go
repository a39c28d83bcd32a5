package all

import (
	"bytes"
	"os"
	"os/exec"
	"path"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
)

// A program whose last line cannot be written has failed, and says so: here its
// stdout fails from the moment at which it has said that it is ready.
func TestLastLineCannotBeWritten(t *testing.T) {
	testWaiting(t, func(t *testing.T, h *lab.Host, section string, lines int, args []string) {
		// A pipe that nobody reads any more kills its writer (SIGPIPE). A socket for
		// datagrams only refuses, as a full disk does.
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		assert.NilError(t, err)
		ours, theirs := os.NewFile(uintptr(pair[0]), "ours"), os.NewFile(uintptr(pair[1]), "theirs")
		defer ours.Close()
		defer theirs.Close()
		cmd := exec.Command(harness.Binary(t, section), args...)
		cmd.Stdout = theirs
		p := harness.Command(t, h, cmd)
		for buf := make([]byte, 4096); lines > 0; {
			n, err := ours.Read(buf)
			assert.NilError(t, err)
			lines -= bytes.Count(buf[:n], []byte("\n"))
		}
		assert.NilError(t, ours.Close())
		peer.Until(t, "no fork of this process holds it any more", func() bool {
			_, err := unix.Write(pair[1], []byte("probe"))
			return err != nil
		})
		p.Signal(syscall.SIGTERM)
		p.ExitSaying(1, path.Base(section)+`: write /dev/stdout: transport endpoint is not connected\n`)
	})
}

// The same of programs that end by themselves, on a full disk.
func TestOutputCannotBeWritten(t *testing.T) {
	t.Parallel()
	for section, args := range map[string][]string{
		"tcp_client/close":   {"-how", "destroy", "-addr", silent},
		"tcp_client/unref":   {"-ref=false", "-addr", silent},
		"udp_client/client":  {"-addr", silent},
		"udp_client/send":    {"-addr", silent},
		"broadcast/server":   {"-count", "1"},
		"multicast/server":   {"-count", "1"},
		"multicast/ttl":      nil,
		"multicast/loopback": {"-wait", "1ms"},
		"multicast/scopes":   {"224.0.0.1"},
	} {
		if !built(section) {
			continue
		}
		t.Run(section, func(t *testing.T) {
			t.Parallel()
			h := lab.NewHost(t, "h")
			peer.ListenTCP(t, h, silent)
			echo := peer.ListenUDP(t, h, "udp", silent)
			go func() {
				buf := make([]byte, 100)
				if n, from, err := echo.ReadFromUDPAddrPort(buf); err == nil {
					echo.WriteToUDPAddrPort(buf[:n], from)
				}
			}()
			full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
			assert.NilError(t, err)
			defer full.Close()
			cmd := exec.Command(harness.Binary(t, section), args...)
			cmd.Stdout = full
			harness.Command(t, h, cmd).ExitSaying(1, path.Base(section)+`: write /dev/stdout: no space left on device\n`)
		})
	}
}
