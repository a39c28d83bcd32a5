// Show runs a section and its peer on two hosts of the lab, joined by a cable,
// and draws what crossed it.
//
//	./bazelw run //integration/show -- tcp_server:half_open tcp_client:client
package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/wire"
)

var (
	wait = flag.Duration("for", 3*time.Second, "how `long` to let programs run that do not end by themselves")
	pcap = flag.String("pcap", "", "also write what crossed to this `file`, for Wireshark")
)

func main() {
	flag.Usage = func() {
		fmt.Fprint(os.Stderr, `show runs a section and its peer on two hosts and draws what crossed the wire.
The one that listens comes first. A section's own flags go with it, in quotes:

  show tcp_server:half_open tcp_client:client
  show 'tcp_server:half_open -allow=false' 'tcp_client:client -message hi'

The first is at 10.0.0.1, the second at 10.0.0.2, and -addr, or -interface for
multicast, is set accordingly unless you give it.

`)
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() < 1 || flag.NArg() > 2 {
		flag.Usage()
		os.Exit(2)
	}
	os.Exit(harness.Main(play{}))
}

// play is what harness.Main runs inside the lab.
type play struct{}

func (play) Run() int {
	s := &harness.Stage{Command: "show"}
	defer s.End()
	var actors []*actor
	for i, arg := range flag.Args() {
		words := strings.Fields(arg)
		if len(words) == 0 {
			misuse("an empty argument")
		}
		section := strings.Replace(words[0], ":", "/", 1)
		if !slices.Contains(harness.Sections(), section) {
			misuse("there is no section %s; there are %s", words[0],
				strings.ReplaceAll(strings.Join(harness.Sections(), ", "), "/", ":"))
		}
		a := &actor{name: path.Base(section), out: os.Stdout, spoke: make(chan struct{})}
		if i == 1 && a.name == actors[0].name {
			a.name += "2"
		}
		a.cmd = exec.Command(harness.Binary(s, section), address(section, words[1:])...)
		a.cmd.Stdout, a.cmd.Stderr = a, a
		a.host = lab.NewHost(s, a.name)
		actors = append(actors, a)
	}
	first, second := actors[0].host, lab.NewHost(s, "nobody")
	parties := []wire.Party{{Name: "peer", Addr: "10.0.0.2"}, {Name: actors[0].name, Addr: "10.0.0.1"}}
	if len(actors) == 2 {
		second, parties[0].Name = actors[1].host, actors[1].name
	}
	lab.Link(s, second, "10.0.0.2/24", first, "10.0.0.1/24")
	capture := wire.Start(s, first, "eth0")

	timer := time.After(*wait)
	for _, a := range actors {
		if err := a.host.Start(a.cmd); err != nil {
			s.Fatalf("%v", err)
		}
		a.ended = make(chan struct{})
		go func() {
			a.cmd.Wait()
			close(a.ended)
		}()
		select {
		case <-a.spoke: // ready
		case <-a.ended:
		case <-timer:
		}
	}
	select {
	case <-actors[len(actors)-1].ended:
	case <-timer:
	}
	for _, a := range slices.Backward(actors) {
		a.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-a.ended:
		case <-time.After(2 * time.Second):
			a.cmd.Process.Kill()
			<-a.ended
		}
	}
	events := capture.Settle()
	fmt.Printf("\n%s", wire.Diagram(wire.Merge(events), parties...).Mermaid())
	if *pcap != "" {
		if err := capture.Save(*pcap); err != nil {
			s.Fatalf("%v", err)
		}
	}
	return 0
}

// address adds the flags that take a section out of its own machine.
func address(section string, args []string) []string {
	name, value := "-addr", "10.0.0.1:8080"
	switch chapter, _, _ := strings.Cut(section, "/"); {
	case section == "broadcast/client" || section == "multicast/scopes":
		return args
	case chapter == "broadcast":
		value = "10.0.0.255:8080"
	case chapter == "multicast":
		name, value = "-interface", "eth0"
	}
	if slices.ContainsFunc(args, func(arg string) bool {
		return strings.HasPrefix(arg, name) || strings.HasPrefix(arg, "-"+name)
	}) {
		return args
	}
	return append([]string{name, value}, args...)
}

// actor is a program on its host. What it prints appears at once, with its name.
type actor struct {
	name  string
	host  *lab.Host
	cmd   *exec.Cmd
	out   io.Writer
	spoke chan struct{} // closed at its first line
	ended chan struct{}
	rest  []byte
	told  bool
}

func (a *actor) Write(data []byte) (int, error) {
	a.rest = append(a.rest, data...)
	for {
		line, rest, ok := bytes.Cut(a.rest, []byte("\n"))
		if !ok {
			return len(data), nil
		}
		fmt.Fprintf(a.out, "%-10s | %s\n", a.name, line)
		a.rest = rest
		if !a.told {
			a.told = true
			close(a.spoke)
		}
	}
}

func misuse(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "show: "+format+"\n", args...)
	os.Exit(2)
}
