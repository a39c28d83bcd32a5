package wire

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/afpacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"example.com/sockets/integration/lab"
)

// Capture is all that has crossed one interface since it began.
type Capture struct {
	t    testing.TB
	ring *afpacket.TPacket
	card int // index of the interface
	most int // how many frames it keeps, or 0 for all
	once sync.Once
	end  chan struct{} // closed to end it
	done chan struct{}

	mu      sync.Mutex
	frames  []frame
	packets []gopacket.Packet // the frames that Packets has decoded
	more    chan struct{}     // closed when a frame is added
}

type frame struct {
	data []byte
	info gopacket.CaptureInfo
}

// Start captures an interface of a host (packet(7)) until the test ends. The
// packets then go to a pcap file in the test's outputs.
func Start(t testing.TB, on *lab.Host, ifname string) *Capture {
	t.Helper()
	lab.Require(t, "namespaces", lab.Isolated())
	c, err := start(on, ifname)
	if err != nil {
		t.Fatalf("capture %s of %s: %v", ifname, on.Name, err)
	}
	c.t = t
	go c.read()
	t.Cleanup(func() {
		c.stop()
		if stats, _, err := c.ring.SocketStats(); err == nil && stats.Drops() > 0 {
			t.Errorf("the capture of %s of %s has lost %d packets", ifname, on.Name, stats.Drops())
		}
		c.ring.Close()
		if dir := os.Getenv("TEST_UNDECLARED_OUTPUTS_DIR"); dir != "" {
			name := fmt.Sprintf("%s.%s.%s.pcap", strings.ReplaceAll(t.Name(), "/", "_"), on.Name, ifname)
			if err := c.Save(filepath.Join(dir, name)); err != nil {
				t.Error(err)
			}
		}
	})
	return c
}

// heads has the kernel hand over no more of a packet than its headers, and one of
// the two copies that it makes of what goes over lo (socket filters in the kernel's
// filter.rst).
var heads = []bpf.Instruction{
	bpf.LoadExtension{Num: bpf.ExtType},
	bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.PACKET_OUTGOING, SkipTrue: 1},
	bpf.RetConstant{Val: 128},
	bpf.RetConstant{Val: 0},
}

// mostFrames bounds the memory of a capture that nobody may look at.
const mostFrames = 20_000

// Watch captures the headers of what crosses an interface until it is closed. It
// may miss some of it, and fails no test.
func Watch(on *lab.Host, ifname string) (*Capture, error) {
	filter := heads
	if ifname != "lo" {
		filter = heads[2:3]
	}
	raw, err := bpf.Assemble(filter)
	if err != nil {
		return nil, err
	}
	c, err := start(on, ifname, afpacket.OptFrameSize(256), afpacket.OptBlockSize(1<<17), afpacket.OptNumBlocks(8))
	if err != nil {
		return nil, err
	}
	if err := c.ring.SetBPF(raw); err != nil {
		c.ring.Close()
		return nil, err
	}
	c.most = mostFrames
	go c.read()
	return c, nil
}

// Close ends a capture that Watch began.
func (c *Capture) Close() {
	c.stop()
	c.ring.Close()
}

func start(on *lab.Host, ifname string, options ...any) (c *Capture, err error) {
	c = &Capture{end: make(chan struct{}), done: make(chan struct{}), more: make(chan struct{})}
	on.Do(func() {
		var card *net.Interface
		if card, err = net.InterfaceByName(ifname); err != nil {
			return
		}
		c.card = card.Index
		// The library's socket would be every child's too.
		syscall.ForkLock.RLock()
		defer syscall.ForkLock.RUnlock()
		defer closeOnExec()
		// Version 2 hands over each packet at once; 8 MB hold 4096 of them.
		c.ring, err = afpacket.NewTPacket(append([]any{afpacket.OptInterface(ifname), afpacket.TPacketVersion2,
			afpacket.OptFrameSize(2048), afpacket.OptBlockSize(1 << 18), afpacket.OptNumBlocks(32),
			afpacket.OptPollTimeout(10 * time.Millisecond)}, options...)...)
	})
	return c, err
}

// closeOnExec sets FD_CLOEXEC on all sockets of this process.
func closeOnExec() {
	entries, _ := os.ReadDir("/proc/self/fd")
	for _, entry := range entries {
		if target, _ := os.Readlink("/proc/self/fd/" + entry.Name()); strings.HasPrefix(target, "socket:") {
			if fd, err := strconv.Atoi(entry.Name()); err == nil {
				syscall.CloseOnExec(fd)
			}
		}
	}
}

func (c *Capture) read() {
	defer close(c.done)
	for ending := false; ; {
		data, info, err := c.ring.ReadPacketData()
		if errors.Is(err, afpacket.ErrTimeout) {
			if ending {
				return
			}
			select {
			case <-c.end:
				ending = true // once more: a packet may have come since this wait was over
			default:
			}
			continue
		} else if err != nil {
			if c.t != nil {
				c.t.Errorf("capture: %v", err)
			}
			return
		}
		if info.InterfaceIndex != c.card {
			continue // it came before the socket was bound to the card
		}
		c.mu.Lock()
		if c.most > 0 && len(c.frames) >= c.most {
			c.mu.Unlock()
			continue
		}
		c.frames = append(c.frames, frame{data, info}) // decoding would hold it up
		close(c.more)
		c.more = make(chan struct{})
		c.mu.Unlock()
	}
}

// Packets returns what has been captured so far.
func (c *Capture) Packets() []gopacket.Packet {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, f := range c.frames[len(c.packets):] {
		packet := gopacket.NewPacket(f.data, layers.LayerTypeEthernet, gopacket.Default)
		packet.Metadata().CaptureInfo = f.info
		c.packets = append(c.packets, packet)
	}
	return append([]gopacket.Packet(nil), c.packets...)
}

// Patience bounds Await, see harness.Patience.
var Patience = 30 * time.Second

// Await waits until what has been captured, as events, satisfies enough.
func (c *Capture) Await(what string, enough func([]Event) bool) []Event {
	c.t.Helper()
	deadline := time.After(Patience)
	for {
		c.mu.Lock()
		more := c.more
		c.mu.Unlock()
		events := Events(c.Packets())
		if enough(events) {
			return events
		}
		select {
		case <-more:
		case <-deadline:
			c.t.Fatalf("%s did not cross the wire in time; the last that did:\n%v", what, events[max(0, len(events)-30):])
		}
	}
}

// Settle ends the capture and returns all events.
func (c *Capture) Settle() []Event {
	c.stop()
	return Events(c.Packets())
}

// stop ends the capture, once what has been captured is here.
func (c *Capture) stop() {
	c.once.Do(func() { close(c.end) })
	<-c.done
}

// Save writes what has been captured to a file that Wireshark opens.
func (c *Capture) Save(name string) (err error) {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := pcapgo.NewWriter(f)
	if err := w.WriteFileHeader(262144, layers.LinkTypeEthernet); err != nil {
		return err
	}
	for _, packet := range c.Packets() {
		if err := w.WritePacket(packet.Metadata().CaptureInfo, packet.Data()); err != nil {
			return err
		}
	}
	return nil
}
