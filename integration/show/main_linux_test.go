package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	"gotest.tools/v3/golden"
	"gotest.tools/v3/poll"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/wire"
)

// asShow, in the environment, makes the test binary show itself.
const asShow = "SHOW_ITSELF"

func TestMain(m *testing.M) {
	if os.Getenv(asShow) != "" {
		main()
	}
	os.Exit(harness.Main(m))
}

// user is somebody in a folder of their own.
type user struct {
	t   *testing.T
	dir string
}

func newUser(t *testing.T) user {
	t.Parallel()
	lab.Require(t, "namespaces", lab.Isolated())
	return user{t, t.TempDir()}
}

// write writes an executable file.
func (u user) write(name string, lines ...string) {
	u.t.Helper()
	assert.NilError(u.t, os.WriteFile(filepath.Join(u.dir, name), []byte(strings.Join(lines, "\n")+"\n"), 0o755))
}

func (u user) command(args ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Env = append(os.Environ(), asShow+"=1", "BUILD_WORKING_DIRECTORY="+u.dir)
	// In a lab of its own, as for people.
	cmd.Env = slices.DeleteFunc(cmd.Env, func(v string) bool { return strings.HasPrefix(v, "SOCKETS_LAB=") })
	return cmd
}

// show runs show, for as long as it takes, and returns what it says, without what
// differs from run to run.
func (u user) show(args ...string) (stdout, stderr string, code int) {
	u.t.Helper()
	var out, complaint bytes.Buffer
	cmd := u.command(append([]string{"-for", "1h"}, args...)...)
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if err := cmd.Run(); !errors.As(err, new(*exec.ExitError)) {
		assert.NilError(u.t, err)
	}
	said := waits.ReplaceAllString(complaint.String(), "")
	return port.ReplaceAllString(out.String(), ":PORT"), port.ReplaceAllString(said, ":PORT"), cmd.ProcessState.ExitCode()
}

var (
	port  = regexp.MustCompile(`:\d{5}\b`)
	waits = regexp.MustCompile(`show: (building|waiting) .*\n`) // on a busy machine
)

// Two sections on two hosts: what they say, and what crosses.
func TestSections(t *testing.T) {
	out, complaint, code := newUser(t).show("tcp_server:half_open", "tcp_client:client")
	assert.Equal(t, code, 0, complaint)
	said, drawn, _ := strings.Cut(out, "\n\n")
	golden.Assert(t, drawn, "half_open.txt")
	for _, line := range []string{
		"half_open | listening on 10.0.0.1:8080",
		`client    | sent 5 bytes: "hello"`,
		"half_open | 10.0.0.2:PORT ended after 5 bytes",
		"half_open | closed",
	} {
		assert.Assert(t, slices.Contains(strings.Split(said, "\n"), line), "%s\nnot in\n%s", line, said)
	}
}

// Their flags are those of a shell's line, and none that is given is set by show.
func TestFlags(t *testing.T) {
	out, complaint, code := newUser(t).show("tcp_server:half_open -addr=:8081 -allow=false", `tcp_client:client --addr 10.0.0.1:8081 -message "hi there"`)
	assert.Equal(t, code, 0, complaint)
	for _, line := range []string{"half_open | listening on [::]:8081\n", `client    | sent 8 bytes: "hi there"`, "━ 8 bytes, seq 1 ━", "◄╌╌╌╌╌ FIN, seq 1 ╌"} {
		assert.Assert(t, strings.Contains(out, line), "%s\nnot in\n%s", line, out)
	}
}

// A command of one's own: a script where the user stands, whatever stands on the PATH,
// with the shell's quotes. It need not say that it listens.
func TestCommands(t *testing.T) {
	_, err := exec.LookPath("socat")
	lab.Require(t, "socat", err == nil)
	u := newUser(t)
	// sort replies when all is there, after the FIN; -t, socat's patience with the other half.
	u.write("server.sh", "#!/bin/sh", "exec socat -t 60 TCP-LISTEN:8080,fork EXEC:sort")
	out, complaint, code := u.show("-mermaid", "./server.sh", `printf 'hello, %s\n' 'world' | socat -t 60 - TCP:10.0.0.1:8080`)
	assert.Equal(t, code, 0, complaint)
	out = regexp.MustCompile(`.* s later\n`).ReplaceAllString(out, "") // on a busy machine
	assert.Equal(t, out, `sequenceDiagram
    participant printf
    participant server.sh
    printf->>server.sh: SYN
    server.sh->>printf: SYN, ACK
    printf->>server.sh: ACK
    printf->>server.sh: 13 bytes, seq 1
    printf->>server.sh: FIN, seq 14
    server.sh->>printf: 13 bytes, seq 1
    server.sh->>printf: FIN, seq 14
`)
	assert.Assert(t, strings.Contains(complaint, "printf    | hello, world\n"), complaint) // what they say is no part of the diagram
}

// A section stands for either part: here it serves a command.
func TestCommandAsClient(t *testing.T) {
	_, err := exec.LookPath("node")
	lab.Require(t, "node", err == nil)
	u := newUser(t)
	u.write("reset.js", `const s = require('net').connect(8080, '10.0.0.1', () => s.resetAndDestroy())`)
	out, complaint, code := u.show("tcp_server:server", "node reset.js")
	assert.Equal(t, code, 0, complaint)
	assert.Assert(t, strings.Contains(out, "│ reset.js │"), out)
	assert.Assert(t, strings.Contains(out, "├───────── RST ────────╳│"), out)
}

// -all draws what a diagram otherwise leaves out. -svg and -pcap write to where the
// user stands.
func TestFiles(t *testing.T) {
	u := newUser(t)
	out, complaint, code := u.show("-all", "-svg", "out.svg", "-pcap", "out.pcap", "tcp_server:server", "tcp_client:client")
	assert.Equal(t, code, 0, complaint)
	assert.Assert(t, regexp.MustCompile(`─ ACK 6 ─`).MatchString(out), out)
	svg, err := os.ReadFile(filepath.Join(u.dir, "out.svg"))
	assert.NilError(t, err)
	assert.NilError(t, xml.Unmarshal(svg, new(struct {
		XMLName xml.Name `xml:"http://www.w3.org/2000/svg svg"`
	})))
	assert.Assert(t, bytes.Contains(svg, []byte(">5 bytes, seq 1</text>")), "%s", svg)
	assert.Assert(t, bytes.Contains(svg, []byte(">ACK 6</text>")), "%s", svg)
	pcap, err := os.ReadFile(filepath.Join(u.dir, "out.pcap"))
	assert.NilError(t, err)
	assert.Assert(t, bytes.HasPrefix(pcap, []byte{0xd4, 0xc3, 0xb2, 0xa1}), "%x", pcap[:8])
}

// What cannot be run is told in a line, with the section that was perhaps meant.
func TestMisuse(t *testing.T) {
	u := newUser(t)
	u.write("server.py", "print('hi')")
	assert.NilError(t, os.Chmod(filepath.Join(u.dir, "server.py"), 0o644))
	for _, c := range []struct{ arg, want string }{
		{"tcp_server:half_opn", "tcp_server:half_opn is neither a section (do you mean tcp_server:half_open?) nor a command on the PATH"},
		{"half_open", "half_open is neither a section (do you mean tcp_server:half_open?) nor a command on the PATH"},
		{"tcp_server/haf_open", "there is no tcp_server/haf_open (do you mean tcp_server:half_open?)"},
		{"no-such-command", "no-such-command is neither a section nor a command on the PATH"},
		{"./client.py", "there is no ./client.py"},
		{"./server.py", "./server.py is not executable: chmod +x it, or name what runs it, as in 'python3 ./server.py'"},
		{u.dir, u.dir + " is a folder"},
		{" ", "an empty argument"},
	} {
		out, complaint, code := u.show("tcp_server:server", c.arg)
		assert.Equal(t, complaint, "show: "+c.want+"\n")
		assert.Equal(t, out, "")
		assert.Equal(t, code, 2)
	}
	_, usage, code := u.show("tcp_server:server", "tcp_client:client", "tcp_client:client")
	assert.Equal(t, code, 2)
	assert.Assert(t, strings.HasPrefix(usage, "show runs a program and its peer on two hosts"), usage)
	assert.Assert(t, !strings.Contains(usage, "golden"), usage)
	assert.Assert(t, strings.HasSuffix(usage, "\nshow: want one or two programs, not 3: quotes round a program with its flags\n"), usage)
	for _, most := range []string{"0s", "-1s"} {
		out, complaint, code := u.show("-for", most, "tcp_server:server", "tcp_client:client")
		assert.Equal(t, complaint, "show: -for "+most+": want more than nothing\n")
		assert.Equal(t, out, "")
		assert.Equal(t, code, 2)
	}
}

// The first program is waited for until it listens, but not for ever: then that is said.
func TestNeverListens(t *testing.T) {
	_, complaint, code := newUser(t).show("-for", "100ms", "sleep 1000", "true")
	assert.Equal(t, code, 1)
	assert.Equal(t, complaint, "show: no longer waiting for sleep (-for 100ms)\n"+
		"show: nothing has crossed the wire between 10.0.0.1 and 10.0.0.2\n")
}

// A server that dies at once is not waited for: its last words are shown, and its peer
// is not started.
func TestDiesAtOnce(t *testing.T) {
	u := newUser(t)
	u.write("server.sh", "#!/bin/sh", "echo no port for me >&2", "exit 3")
	out, complaint, code := u.show("./server.sh", "tcp_client:client")
	assert.Equal(t, code, 1)
	assert.Equal(t, out, "server.sh ! no port for me\n")
	assert.Equal(t, complaint, "show: server.sh ended before client was started: exit status 3\n"+
		"show: nothing has crossed the wire between 10.0.0.1 and 10.0.0.2\n")
}

// A last line that no end of line has come for is shown as well.
func TestNothingCrosses(t *testing.T) {
	out, complaint, code := newUser(t).show("printf hello")
	assert.Equal(t, code, 1)
	assert.Equal(t, out, "printf | hello\n")
	assert.Equal(t, complaint, "show: nothing has crossed the wire between 10.0.0.1 and 10.0.0.2\n")
}

// tail is what a program prints, for those who wait for a part of it.
type tail struct {
	mu  sync.Mutex
	all strings.Builder
}

func (p *tail) Write(data []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.all.Write(data)
}

func (p *tail) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.all.String()
}

// While it waits it says for what. Ctrl+C draws what has crossed so far, and nothing
// stays behind, not even what a program has put out of reach.
func TestInterrupt(t *testing.T) {
	_, err := exec.LookPath("node")
	lab.Require(t, "node", err == nil)
	u := newUser(t)
	u.write("client.js", `
const left = require('child_process').spawn('sleep', ['1000'], { detached: true })
process.on('SIGTERM', () => {})
require('net').connect(8080, '10.0.0.1', () => console.log('left', left.pid))`)
	var out, complaint tail
	cmd := u.command("-for", "1h", "tcp_server:server", "node client.js")
	cmd.Stdout, cmd.Stderr = &out, &complaint
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	assert.NilError(t, cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	u.until(&complaint, "show: waiting for client.js to end (see -for; Ctrl+C ends it now)\n")
	u.until(&out, "left ")
	assert.NilError(t, syscall.Kill(-cmd.Process.Pid, syscall.SIGINT)) // what a terminal does
	select {
	case err := <-ended:
		assert.NilError(t, err, "%s", &complaint)
	case <-time.After(harness.Patience()):
		t.Fatalf("it goes on: %s", &complaint)
	}
	assert.Assert(t, strings.Contains(complaint.String(), "show: waiting for client.js to end after SIGTERM\n"), "%s", &complaint)
	assert.Assert(t, strings.Contains(out.String(), "├───────── SYN ────────►│"), "%s", &out)
	m := regexp.MustCompile(`left (\d+)\n`).FindStringSubmatch(out.String())
	pid, err := strconv.Atoi(m[1])
	assert.NilError(t, err)
	poll.WaitOn(t, func(poll.LogT) poll.Result { // init may not have buried it yet
		if state, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); err == nil && !strings.Contains(string(state), ") Z ") {
			return poll.Continue("%d is still there: %s", pid, state)
		}
		return poll.Success()
	}, poll.WithTimeout(harness.Patience()))
}

// until waits until a part has been printed.
func (u user) until(p *tail, part string) {
	u.t.Helper()
	poll.WaitOn(u.t, func(poll.LogT) poll.Result {
		if strings.Contains(p.String(), part) {
			return poll.Success()
		}
		return poll.Continue("%q does not come: %s", part, p)
	}, poll.WithTimeout(harness.Patience()), poll.WithDelay(time.Millisecond))
}

// at makes an event, some time after the first.
func at(after time.Duration, from, to string, kind wire.Kind, bytes int) wire.Event {
	return wire.Event{Time: time.Unix(0, 0).Add(after), From: netip.MustParseAddrPort(from), To: netip.MustParseAddrPort(to), Kind: kind, Bytes: bytes, Seq: 1}
}

const client, server = "10.0.0.2:50001", "10.0.0.1:8080"

var parties = []wire.Party{{Name: "client", Addr: "10.0.0.2"}, {Name: "server", Addr: "10.0.0.1"}}

// The diagram tells of pauses; data before one and data after it are two arrows.
func TestPauses(t *testing.T) {
	assert.Equal(t, paced([]wire.Event{
		at(0, client, server, wire.Data, 1),
		at(499*time.Millisecond, client, server, wire.Data, 2),
		at(1499*time.Millisecond, client, server, wire.Data, 4),
		at(3*time.Second, server, client, wire.RST, 0),
	}, wire.Merge, parties).Mermaid(), `sequenceDiagram
    participant client
    participant server
    client->>server: 3 bytes, seq 1
    Note over client,server: 1.0 s later
    client->>server: 4 bytes, seq 1
    Note over client,server: 1.5 s later
    server->>client: RST
`)
}

// More arrows than people can read become two: one for each way.
func TestBulk(t *testing.T) {
	var events []wire.Event
	for range 100 {
		events = append(events, at(0, client, server, wire.Data, 10), at(0, server, client, wire.Data, 10))
	}
	events = append(events, at(0, client, server, wire.FIN, 0), at(0, server, client, wire.Data, 1), at(0, server, client, wire.Data, 1))
	assert.Equal(t, paced(events, wire.Bulk, parties).Mermaid(), `sequenceDiagram
    participant client
    participant server
    client->>server: 1000 bytes, seq 1
    server->>client: 1000 bytes, seq 1
    client->>server: FIN, seq 1
    server->>client: 2 bytes, seq 1
`)
}
