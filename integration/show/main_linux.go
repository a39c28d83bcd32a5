// Show runs a section, or any other program, and its peer on two hosts of the lab,
// joined by a cable, and draws what crossed it.
//
//	./bazelw run //integration/show -- tcp_server:half_open tcp_client:client
//	./bazelw run //integration/show -- 'python3 server.py 10.0.0.1:8080' tcp_client:client
package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"example.com/sockets/integration/diagram"
	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/wire"
)

// The tests that harness is for have flags, which are not for people.
var (
	flags   = flag.NewFlagSet("show", flag.ExitOnError)
	most    = flags.Duration("for", 3*time.Second, "how long to let programs run that do not end by themselves: a `time`, as in 10s or 1m")
	all     = flags.Bool("all", false, "draw every segment as it crossed, bare ACKs too")
	mermaid = flags.Bool("mermaid", false, "print the diagram in Mermaid's language, and nothing else on stdout")
	svg     = flags.String("svg", "", "draw to this `file` too")
	pcap    = flags.String("pcap", "", "write what crossed to this `file` too, for Wireshark")
)

func main() {
	flags.Usage = func() {
		fmt.Fprint(os.Stderr, `show runs a program and its peer on two hosts and draws what crosses the wire.

  show tcp_server:half_open tcp_client:client
  show 'tcp_server:half_open -allow=false' 'tcp_client:client -message hi'
  show 'python3 server.py 10.0.0.1:8080' tcp_client:client

The one that listens comes first. Each is a section or any other command, as a
shell takes it, in quotes if it is more than a word. The first is at 10.0.0.1, the
second at 10.0.0.2, either on eth0; a section gets -addr, or -interface for
multicast, accordingly, unless you give it. Ctrl+C ends both and draws what has
crossed so far.

`)
		flags.PrintDefaults()
	}
	flags.Parse(os.Args[1:])
	switch n := flags.NArg(); {
	case n < 1:
		flags.Usage()
		os.Exit(2)
	case n > 2:
		flags.Usage()
		misuse("want one or two programs, not %d: quotes round a program with its flags", n)
	case *most <= 0:
		misuse("-for %v: want more than nothing", *most)
	}
	os.Exit(harness.Main(play{}))
}

func misuse(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "show: "+format+"\n", args...)
	os.Exit(2)
}

// play is what harness.Main runs inside the lab.
type play struct{}

func (play) Run() (code int) {
	interrupt := make(chan os.Signal, 1)
	signal.Notify(interrupt, os.Interrupt, syscall.SIGTERM)
	s := &harness.Stage{Command: "show"}
	defer s.End()

	actors, err := cast(s, flags.Args())
	if err != nil {
		s.Errorf("%v", err)
		return 2
	}
	parties := []wire.Party{{Name: "peer", Addr: "10.0.0.2"}, {Name: actors[0].name, Addr: "10.0.0.1"}}
	first, second := actors[0].host, lab.NewHost(s, "peer")
	if len(actors) == 2 {
		parties[0].Name, second = actors[1].name, actors[1].host
	}
	lab.Link(s, second, "10.0.0.2/24", first, "10.0.0.1/24")
	capture := wire.Start(s, first, "eth0")
	acted := act(actors, interrupt)
	capture.Settle()

	for _, err := range []error{acted, draw(capture, parties), save(capture)} {
		if err != nil {
			s.Errorf("%v", err)
			code = 1
		}
	}
	return code
}

// act starts the programs one after the other, waits, and ends them.
func act(actors []*actor, interrupt <-chan os.Signal) error {
	harness.Adopt()
	defer func() {
		for _, a := range slices.Backward(actors) {
			a.end()
		}
		harness.Sweep()
	}()
	for i, a := range actors {
		if err := a.start(); err != nil {
			return fmt.Errorf("%s: %w", a.name, err)
		}
		what, done := a.name+" to say its first line", a.ready
		if a.foreign {
			what = a.name + " to say its first line, or to listen"
		}
		if i == len(actors)-1 {
			what, done = a.name+" to end (see -for; Ctrl+C ends it now)", a.ended
		}
		interrupted, late := a.await(what, done, *most, interrupt)
		if interrupted {
			return nil
		}
		if late && i < len(actors)-1 {
			fmt.Fprintf(os.Stderr, "show: no longer waiting for %s (-for %v)\n", a.name, *most)
		}
		if a.over() && i < len(actors)-1 && !a.cmd.ProcessState.Success() {
			return fmt.Errorf("%s ended before %s was started: %v", a.name, actors[i+1].name, a.cmd.ProcessState)
		}
	}
	return nil
}

// pause is how long nothing has to cross before the diagram says so.
const pause = time.Second / 2

// draw draws what has crossed.
func draw(capture *wire.Capture, parties []wire.Party) error {
	events, merge := wire.Events(capture.Packets()), wire.Merge
	if *all {
		events, merge = wire.Segments(capture.Packets()), slices.Clone
	}
	if len(events) == 0 {
		return errors.New("nothing has crossed the wire between 10.0.0.1 and 10.0.0.2")
	}
	d := paced(events, merge, parties)
	if !*all && len(d.Steps) > readable {
		d = paced(events, wire.Bulk, parties)
		d.Steps = append(d.Steps, diagram.Note("data in between is joined; -all shows each segment"))
	}
	if *mermaid {
		fmt.Print(d.Mermaid())
	} else {
		columns, colour := harness.Terminal(os.Stdout)
		fmt.Printf("\n%s", d.Text(max(2, cmp.Or(columns, 80)), colour))
	}
	if *svg != "" {
		return os.WriteFile(harness.UserPath(*svg), d.SVG("en"), 0o666)
	}
	return nil
}

// paced is a diagram that also tells of pauses. What crossed between two of them is
// merged.
func paced(events []wire.Event, merge func([]wire.Event) []wire.Event, parties []wire.Party) (d diagram.Diagram) {
	for start, i := 0, 1; i <= len(events); i++ {
		last := i == len(events)
		if !last && events[i].Time.Sub(events[i-1].Time) < pause {
			continue
		}
		steps := d.Steps
		d = wire.Diagram(merge(events[start:i]), parties...)
		d.Steps = append(steps, d.Steps...)
		if start = i; !last {
			d.Steps = append(d.Steps, diagram.Note(fmt.Sprintf("%.1f s later", events[i].Time.Sub(events[i-1].Time).Seconds())))
		}
	}
	return d
}

// readable is how many arrows people can read.
const readable = 60

func save(capture *wire.Capture) error {
	if *pcap == "" {
		return nil
	}
	return capture.Save(harness.UserPath(*pcap))
}
