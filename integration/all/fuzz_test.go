package all

import (
	"bytes"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
)

// Whatever the command line, every section keeps what integration/README.md
// promises of it (see judge). The seeds run with the suite; for more, each in a
// worker process of Go's fuzzer, which inherits the lab:
//
//	go test ./integration/all -run '^$' -fuzz FuzzCommandLine -fuzztime 5m
//
// The fuzzer sees the coverage of this file, not of the programs, so what makes
// the lines worth trying is the grammar below. It draws from a generator seeded
// with dice; text is what the fuzzer itself makes up, for the grammar to use.
func FuzzCommandLine(f *testing.F) {
	lab.Require(f, "namespaces", lab.Isolated())
	h := lab.NewHost(f, "h")
	sections := harness.Sections()
	usages := map[string]usage{}
	for i, section := range sections {
		usages[section] = learn(f, h, section)
		for dice := range uint64(5) {
			f.Add(uint(i), dice, "text")
		}
	}
	f.Fuzz(func(t *testing.T, n uint, dice uint64, text string) {
		t.Parallel()
		section := sections[n%uint(len(sections))]
		use := usages[section]
		args := commandLine(rand.New(rand.NewPCG(uint64(n), dice)), use.flags, text)
		judge(t, section, use.help, args)
	})
}

// judge runs a section and demands one of three ends: with 2, package flag having
// refused the line with a message and the usage; with 1, after one line that says
// what failed; with 0, by itself or on SIGTERM.
func judge(t *testing.T, section, help string, args []string) {
	t.Helper()
	_, name, _ := strings.Cut(section, "/")
	h := lab.NewHost(t, "h")
	if strings.HasPrefix(section, "tcp_client/") {
		somebody(t, h)
	}
	e := run(t, h, exec.Command(harness.Binary(t, section), args...))
	fail := func(how string) {
		t.Helper()
		t.Fatalf("%s %.2000q %s: %v\nstdout %.2000q\nstderr %.2000q", section, args, how, e.state, e.stdout, e.stderr)
	}
	switch {
	case e.late:
		fail("hangs")
	case crash.MatchString(e.stderr):
		fail("crashes")
	case e.code == 2:
		if message, ok := strings.CutSuffix(e.stderr, "\n"+help); !ok || message == "" || e.stdout != "" {
			fail("refuses, but not with a message and the usage")
		}
	case e.code == 1:
		if !strings.HasPrefix(e.stderr, name+": ") || !strings.HasSuffix(e.stderr, "\n") {
			fail("fails without its name")
		}
		// The packages net and os repeat the names of hosts and files as they are.
		if strings.Count(e.stderr, "\n") != 1 && section != "multicast/scopes" && !strings.Contains(strings.Join(args, ""), "\n") {
			fail("fails with more than one line")
		}
	case e.code == 0:
		if e.stdout == "" && e.stderr != help || e.stdout != "" && e.stderr != "" {
			fail("succeeds, but what does it say")
		}
		if strings.HasPrefix(e.stdout, "listening") && !strings.HasSuffix(e.stdout, "\nclosed\n") {
			fail("does not close")
		}
	default:
		fail("ends as no section does")
	}
}

var crash = regexp.MustCompile(`(?m)^(panic: |fatal error: |goroutine \d|runtime: |SIG[A-Z]+: )`)

// end is how a program has ended, and what it had said by then.
type end struct {
	stdout, stderr string
	code           int
	state          *os.ProcessState
	late           bool
}

// run runs a program to its end. One that serves gets a SIGTERM at its first
// line, by which it is ready. Those that end by themselves may not heed it.
func run(t testing.TB, on *lab.Host, cmd *exec.Cmd) end {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Dir = t.TempDir() // where a -to is made
	// No name service is asked but through a socket, which leads nowhere.
	cmd.Env = append(os.Environ(), "BUILD_WORKING_DIRECTORY=", "GODEBUG=netdns=go")
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	assert.NilError(t, err)
	assert.NilError(t, on.Start(cmd))
	inTime := time.AfterFunc(harness.Patience(), func() { cmd.Process.Kill() })
	buf := make([]byte, 65536)
	n, _ := out.Read(buf)
	stdout.Write(buf[:n])
	if name := filepath.Base(cmd.Path); n > 0 && name != "ttl" && name != "scopes" { // these two end by themselves
		cmd.Process.Signal(syscall.SIGTERM) // an error: it has ended already
	}
	_, err = io.Copy(&stdout, out)
	assert.NilError(t, err)
	cmd.Wait() // its verdict is in ProcessState
	return end{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode(), cmd.ProcessState, !inTime.Stop()}
}

// somebody is there for a client that keeps its default address.
func somebody(t *testing.T, on *lab.Host) {
	var ln net.Listener
	var err error
	on.Do(func() { ln, err = net.Listen("tcp", "127.0.0.1:8080") })
	assert.NilError(t, err)
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				io.Copy(io.Discard, conn)
				conn.Close()
			}()
		}
	}()
}

// usage is what -h prints, and the flags that it lists, each with the kind of
// its value.
type usage struct {
	help  string
	flags [][2]string
}

func learn(t testing.TB, on *lab.Host, section string) usage {
	t.Helper()
	e := run(t, on, exec.Command(harness.Binary(t, section), "-h"))
	assert.Equal(t, e.code, 0)
	use := usage{help: e.stderr}
	for _, m := range regexp.MustCompile(`(?m)^  -(\S+) ?(.*)$`).FindAllStringSubmatch(e.stderr, -1) {
		use.flags = append(use.flags, [2]string{m[1], m[2]})
	}
	return use
}

// values are worth trying, by the kind that the usage names: mostly wrong, some
// right, so that the other half of the line counts. A name is of nobody: there
// is no name service in the lab, and what looks for one fails at once.
var values = map[string][]string{
	"number": {
		"0", "1", "-1", "7", "126", "127", "128", "255", "256", "511", "32767", "32768", "65535", "65536", "16777216", "16777217",
		"2147483647", "2147483648", "-2147483648", "4294967296", "9223372036854775807", "9223372036854775808", "-9223372036854775808",
		"0x10", "0b11", "0o17", "017", "08", "1_000", "_1", "1e3", "1.5", "-0", "+5", " 5", "5 ", "NaN", "Inf", "-Inf", "٣", "½",
	},
	"time": {
		"0", "0s", "-0s", "1ns", "-1ns", "1us", "1µs", "1μs", "20ms", "1.5s", "1s", "+1s", "-1s", "32767s", "32768s", "1h1m1s", "1m-1s",
		"2562047h47m16.854775807s", "2562047h47m16.854775808s", "-2562047h47m16.854775808s", "9223372036854775807ns",
		"1", "s", ".s", "1.s", ".5s", "1 s", "1S", "1d", "1e3s", "NaN", "Inf", "0x1s", "99999999999999999999h",
	},
	"address": {
		"127.0.0.1:8080", "127.0.0.1:0", "[::1]:0", ":0", "0.0.0.0:0", "[::]:0", "127.255.255.255:8080", "255.255.255.255:9",
		"", ":", "::", "[", "]", "[]", "[]:", "[]:0", "[:0", "]:0", "::1", "[::1", "::1]:80", "[::1]", "::1:80", "[::1]80", "[[::1]]:80",
		"127.0.0.1", "127.0.0.1:", "127.0.0.1:80:80", "host.invalid:80:80", "127.0.0.1:99999", "127.0.0.1:65536", "127.0.0.1:-1",
		"127.0.0.1:+1", "127.0.0.1:http", ":http", "127.0.0.1: 80", "127.0.0.1:0x50", "127.0.0.1:00080", "127.0.0.1:8080 ",
		"127.0.0.1:18446744073709551617", "0x7f.1:0", "127.1:0", "0177.0.0.1:0", "2130706433:0", "1.2.3.4.5:1", "256.0.0.1:1", "1.2.3:1",
		"[fe80::1%lo]:0", "[::1%lo]:0", "[::1%]:0", "[::1%nope0]:0", "127.0.0.1%lo:0", "[::ffff:127.0.0.1]:0", "[127.0.0.1]:0",
		"[::1\n]:0", "[ff02::1%a\nb]:0", "192.0.2.1:0", "[2001:db8::1]:0", "240.0.0.1:1", "224.0.0.1:0", "[ff02::1]:0", "[ff02::1%lo]:80",
		"host.invalid:1", "host.invalid:0", "host invalid:1", "host\n.invalid:1", "\x1b[2J:1", "é.invalid:1", "\xff:1", ".:1", "*:1", "-:1",
	},
	"group": {
		"230.185.192.108:8080", "230.185.192.108:0", "230.185.192.108", "230.185.192.108:", "230.185.192.108:65536", "239.255.255.255:65535",
		"224.0.0.0:1", "223.255.255.255:1", "240.0.0.0:1", "[::ffff:230.1.1.1]:1", "[ff02::1]:1", "[ff02::1%lo]:1", "[ff02::1%a\nb]:1",
		"[fe80::1%\n]:1", "127.0.0.1:1", "0.0.0.0:1", "255.255.255.255:1", "host.invalid:1", "all-hosts:1", ":1", "[::]:1",
	},
	"file": {
		"message.txt", "", ".", "..", "/", "/proc/version", "/dev/null/message.txt", "missing/message.txt", "message.txt/", "a\nb", "\xff", "/dev/full",
	},
	"word": {
		"", " ", "-", "--", "lo", "LO", "lo\n", "nope0", "eth0", "udp", "udp4", "udp6", "UDP4", "tcp", "ip4:1", "end", "End", "destroy", "reset",
		"true", "false", "TRUE", "t", "yes", "no", "0,1,2,128", ",", "1,", ",1", "1,,2", "0,256", "0,-1", "1 ,2", "255", "％d%s%n", "%!s(MISSING)",
		"a\nb", "a\r\nb", "\t", "\x1b]0;title\a", "\xff\xfe", "\u202e", "日本語", "🧦", "panic: no",
		"224.0.0.1", "239.255.0.1", "ff02::1", "ff02::1%lo", "ff02::1%a\nb", "fe80::1%a\nb", "::ffff:224.0.0.1", "ff1f::", "ff0f::", "10.0.0.1", "224.0.0.256",
	},
}

// commandLine makes up a line of one to four pieces: mostly a flag with a value
// of its kind, sometimes of another, sometimes a piece that is no flag.
func commandLine(r *rand.Rand, flags [][2]string, text string) (args []string) {
	pick := func(of []string) string { return of[r.IntN(len(of))] }
	kinds := slices.Sorted(maps.Keys(values))
	// The fuzzer's own text may not name a file elsewhere on this machine.
	text = strings.NewReplacer("\x00", "", "/", "_").Replace(text[:min(len(text), 100_000)])
	value := func(kind string) string {
		switch r.IntN(12) {
		case 0:
			return text
		case 1:
			return pick(values[pick(kinds)])
		case 2: // a value within another
			a, b := pick(values[kind]), pick(values[kind])
			if kind == "file" {
				return a
			}
			i := r.IntN(len(a) + 1)
			return a[:i] + b + a[i:]
		case 3:
			if r.IntN(8) == 0 { // an argument may have 128 kB on Linux (execve(2))
				return strings.Repeat(pick([]string{"1", "-", "x", ":", "é", "1,", "[", "\n"}), 50_000)
			}
		}
		return pick(values[kind])
	}
	for range 1 + r.IntN(4) {
		if len(flags) == 0 || r.IntN(8) == 0 {
			args = append(args, pick([]string{
				text, "-" + text, "-", "--", "---", "-=", "--=", "-=1", "leftover", "", " ", "-h", "-help", "--h", "-h=", "-H", "-nonsense",
				"-nonsense=1", "-addr", "-group", "-é", "-\xff", "- addr", value("word"), value("word"),
			}))
			continue
		}
		flag := flags[r.IntN(len(flags))]
		kind, ok := map[string]string{
			"int": "number", "bytes": "number", "time": "time", "duration": "time", "host:port": "address", "address:port": "address", "file": "file",
		}[flag[1]]
		if !ok {
			kind = "word"
		}
		if flag[0] == "group" {
			kind = "group"
		}
		dashes := pick([]string{"-", "-", "-", "--"})
		switch r.IntN(8) {
		case 0:
			args = append(args, dashes+flag[0], value(kind))
		case 1:
			args = append(args, dashes+flag[0])
		default:
			args = append(args, dashes+flag[0]+"="+value(kind))
		}
	}
	return args
}
