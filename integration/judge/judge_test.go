package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	"gotest.tools/v3/golden"
	"gotest.tools/v3/poll"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/tools/pages"
)

// asJudge, in the environment, makes the test binary the judge.
const asJudge = "SOCKETS_AS_JUDGE"

func TestMain(m *testing.M) {
	if os.Getenv(asJudge) != "" {
		main()
	}
	os.Unsetenv("NODE_EXTRA_CA_CERTS") // see harness.Main
	flag.Set("test.parallel", "4")     // programs are waited for, more than they work
	flag.Parse()
	os.Exit(m.Run())
}

// passShims puts the python3 that learners' programs run in first on the PATH, where what
// was first is a script that only looks for it, as pyenv's, which takes half a second.
var passShims = sync.OnceFunc(func() {
	shim, err := exec.LookPath("python3")
	if err != nil {
		return
	}
	python, err := exec.Command(shim, "-c", "import sys; print(sys.executable)").Output()
	if dir := filepath.Dir(string(python)); err == nil && dir != filepath.Dir(shim) {
		os.Setenv("PATH", dir+string(filepath.ListSeparator)+os.Getenv("PATH"))
	}
})

// judging is the judge with a command line.
func judging(t *testing.T, args ...string) (cmd *exec.Cmd, stdout, stderr *buffer) {
	t.Helper()
	self, err := os.Executable()
	assert.NilError(t, err)
	cmd = exec.Command(self, args...)
	env, err := built()
	assert.NilError(t, err)
	cmd.Env = append(append(os.Environ(), asJudge+"=1"), env...)
	stdout, stderr = new(buffer), new(buffer)
	cmd.Stdout, cmd.Stderr = stdout, stderr
	return cmd, stdout, stderr
}

// built builds all tests and programs once, and not for each judge anew.
var built = sync.OnceValues(func() (env []string, err error) {
	if _, bazel := os.LookupEnv(bazelSuites); bazel {
		return nil, nil
	}
	root, err := pages.Top()
	if err != nil {
		return nil, err
	}
	chapters := map[string]string{}
	for _, section := range harness.Sections() {
		program, err := harness.Path(section) // which builds all of the chapter
		if err != nil {
			return nil, err
		}
		chapters[path.Dir(section)] = filepath.Dir(filepath.Dir(program))
	}
	dir, err := buildSuites(context.Background(), root, slices.Sorted(maps.Keys(chapters))...)
	for _, programs := range chapters { // one folder
		env = []string{suites + "=" + dir, "SOCKETS_PROGRAMS=" + programs}
	}
	return env, err
})

// said is what the judge says to people.
func said(t *testing.T, args ...string) (code int, out, stderr string) {
	t.Helper()
	cmd, stdout, errs := judging(t, args...)
	cmd.Run() // its verdict is in ProcessState
	return cmd.ProcessState.ExitCode(), stdout.String(), errs.String()
}

// told is what -json prints of a claim, or in the end.
type told struct {
	Claim, Test, Result, Why, Expected, Came, Hint string
	Steps                                          []harness.Step
	Passed, Failed, Skipped                        int
	GaveUp                                         bool
}

// asked is what the judge says in JSON, by test; the sum is that of "".
func asked(t *testing.T, args ...string) (code int, verdicts map[string]told, stderr string) {
	t.Helper()
	code, out, stderr := said(t, append([]string{"-json"}, args...)...)
	verdicts = map[string]told{}
	for decoder := json.NewDecoder(strings.NewReader(out)); decoder.More(); {
		var one told
		assert.NilError(t, decoder.Decode(&one))
		verdicts[one.Test] = one
	}
	return code, verdicts, stderr
}

// patient is for machines that are busy with other tests.
const patient = "-patience=60s"

// linux skips a test of what the lab makes possible.
func linux(t *testing.T) {
	t.Helper()
	lab.Require(t, "namespaces", runtime.GOOS == "linux")
}

func command(t *testing.T, name string) string {
	t.Helper()
	if name == "python3" {
		passShims()
	}
	path, err := exec.LookPath(name)
	lab.Require(t, name, err == nil)
	return path
}

var full = flag.Bool("full", false, "also ask main.js what harness.Both asks of it anyway")

// Every section's program in Node passes its section's judge. What the suite asks of
// it in the same way, by harness.Both and Pair, is not asked here again unless with
// -full, save one where there is nothing else.
func TestNode(t *testing.T) {
	linux(t)
	t.Parallel()
	node := command(t, "node")
	root, err := harness.Root()
	assert.NilError(t, err)
	for _, section := range harness.Sections() {
		script := filepath.Join(root, section, "main.js")
		if _, err := os.Stat(script); err != nil {
			continue // its page says why
		}
		t.Run(section, func(t *testing.T) {
			t.Parallel()
			all, err := claims(filepath.Join(root, "integration", path.Dir(section)), section)
			assert.NilError(t, err)
			more := slices.ContainsFunc(all, func(c claim) bool { return !c.idle && !c.both && !c.ours })
			var tests []string
			for _, c := range all {
				if !c.idle && (*full || !c.both || !more) {
					tests = append(tests, c.test)
					more = more || c.both
				}
			}
			code, verdicts, stderr := asked(t, patient, "-only=^("+strings.Join(tests, "|")+")$", section, "--", node, script)
			for _, v := range verdicts {
				if v.Result == "fail" {
					t.Errorf("%s: %s\nexpected %s\ncame %s\n%v", v.Test, v.Claim, v.Expected, v.Came, v.Steps)
				}
			}
			assert.Equal(t, code, 0, stderr)
			assert.Assert(t, verdicts[""].Passed > 0)
		})
	}
}

// learners are programs as people write them who learn: right ones, and wrong ones
// with the tests that find them out, and what these say.
var learners = []struct {
	section, file string
	fails         map[string]string
}{
	{"tcp_server:half_open", "half_open.py", nil},
	{"tcp_server:half_open", "half_open.sh", nil},
	{"tcp_server:half_open", "half_open_no_half_close.py", map[string]string{
		"TestHalfOpenReplies":    `1048576 bytes that were sent 0 came.*FIN taken for the end`,
		"TestHalfOpenTranscript": `received 5 bytes: "hello"`,
		"TestHalfOpenWire":       `"FIN, seq 1" from server to client where "5 bytes, seq 1" from server to client is due.*or none after it`,
	}},
	{"tcp_server:half_open", "half_open_echo.sh", map[string]string{
		"TestHalfOpenNotAllowed":  `^nothing but FIN 1048576 bytes came`,
		"TestHalfOpenDefaultWire": `"5 bytes, seq 1" from server to client where "FIN`,
	}},
	{"tcp_server:timeout", "timeout.py", nil},
	{"tcp_server:timeout", "timeout_set_once.py", map[string]string{
		"TestTimeoutActivity": `(0 of the 1 bytes have come back|the connection open and silent).*deadline that is set once`,
	}},
	{"tcp_server:server", "server.py", nil},
	{"tcp_server:server", "server_one_at_a_time.py", map[string]string{
		"TestServerManyAtOnce": `connected.*one client served at a time`,
		"TestServerBadClient":  `connected.*one client served at a time`,
	}},
	{"tcp_server:connections", "connections.py", nil},
	{"tcp_server:connections", "connections_reset.py", map[string]string{
		"TestConnectionsMax": `connection reset by peer.*a reset instead of FIN`,
	}},
	{"tcp_client:client", "client.py", nil},
	{"tcp_client:client", "client_one_read.py", map[string]string{
		"TestClientLongReply": `(connection reset by peer|broken pipe).*one read taken for the whole answer`,
	}},
	{"tcp_client:client", "client_whole.py", map[string]string{
		"TestClientLongReply": `^the line: received \d+ bytes: "[0-9a-f]{64}" it printed received .*data printed whole`,
	}},
	{"multicast:client", "multicast_client.py", nil},
	{"multicast:client", "multicast_client_no_filter.py", map[string]string{
		"TestClientPrintsItsGroupOnly": `it printed .*a membership taken for a filter`,
	}},
}

// A right program passes in whichever language it is. A wrong one fails at the claim
// that it breaks, and is told what its mistake is.
func TestLearners(t *testing.T) {
	linux(t)
	t.Parallel()
	interpreters := map[string]string{".py": "python3", ".sh": "bash"}
	for _, l := range learners {
		t.Run(strings.Replace(l.section, ":", "/", 1)+"/"+l.file, func(t *testing.T) {
			t.Parallel()
			interpreter := command(t, interpreters[filepath.Ext(l.file)])
			if filepath.Ext(l.file) == ".sh" {
				command(t, "socat")
			}
			args := []string{patient}
			if l.file == "server_one_at_a_time.py" {
				args[0] = "-patience=20s" // all of which it waits
			}
			if l.fails != nil { // that the rest holds the right one shows
				args = append(args, "-only=^("+strings.Join(keys(l.fails), "|")+")$")
			}
			code, verdicts, stderr := asked(t, append(args, l.section, "--", interpreter, filepath.Join("testdata", l.file))...)
			assert.Equal(t, stderr, "")
			for _, v := range verdicts {
				want, fails := l.fails[v.Test]
				switch {
				case v.Result == "fail" && !fails:
					t.Errorf("%s: %s\nexpected %s\ncame %s\n%v", v.Test, v.Claim, v.Expected, v.Came, v.Steps)
				case v.Result == "pass" && fails:
					t.Errorf("%s holds: %s", v.Test, v.Claim)
				case fails && !regexp.MustCompile("(?s)"+want).MatchString(v.Expected+" "+v.Came+" "+v.Hint):
					t.Errorf("%s says: expected %s\ncame %s\nwhich does not match %s", v.Test, v.Expected, v.Came, want)
				}
			}
			for test := range l.fails {
				assert.Equal(t, verdicts[test].Result, "fail", test)
			}
			assert.Equal(t, code, map[bool]int{true: 0, false: 1}[l.fails == nil])
		})
	}
}

func keys(m map[string]string) (keys []string) {
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// shell writes a program for sh and returns the command that runs it.
func shell(t *testing.T, text string) []string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "program.sh")
	assert.NilError(t, os.WriteFile(name, []byte(text), 0o644))
	return []string{"--", "sh", name}
}

// A program that never gets to its first line, in whichever way, gets a clear word, and
// the judge does not ask for the rest.
func TestMute(t *testing.T) {
	linux(t)
	t.Parallel()
	for name, c := range map[string]struct{ program, word string }{
		"hangs":                 {"exec sleep 1000", `no such line in 1s \(-patience\), and it still runs`},
		"ends":                  {"exit 3", `it ended: exit status 3, without a word on stderr`},
		"fails":                 {"echo what is --addr >&2; exit 2", `what is --addr`},
		"says another line":     {"echo Hello; exec sleep 1000", `it printed "Hello"`},
		"floods its output":     {"exec tr '\\0' x </dev/zero", `it printed more than 8 MiB, and was killed`},
		"floods it with lines":  {"echo listening; exec yes", `it printed "listening"`},
		"floods its stderr":     {"exec yes >&2", `it printed more than 8 MiB, and was killed`},
		"keeps its line back":   {"printf 'listening on 127.0.0.1:1'; exec sleep 1000", `no such line in 1s`},
		"cannot use its flags":  {`printf '%s\n' "$@" >&2; exit 2`, `--addr=127\.0\.0\.1:0`},
		"closes its output":     {"exec >&- 2>&-; exec sleep 1000", `no such line in 1s`},
		"ignores every signal":  {"trap '' TERM INT HUP; while :; do sleep 1; done", `no such line in 1s`},
		"leaves a child behind": {"sleep 1000 & exit 1", `it ended: exit status 1`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := []string{patient, "tcp_server:half_open"}
			switch {
			case strings.HasPrefix(c.word, "no such line in 1s"):
				args[0] = "-patience=1s" // in vain
			case strings.Contains(c.program, "$@"): // of those that are asked first, some are given no flags
				args = append([]string{"-only=TestHalfOpenReplies"}, args...)
			}
			code, out, stderr := said(t, append(args, shell(t, c.program)...)...)
			assert.Equal(t, code, 1, stderr)
			assert.Assert(t, regexp.MustCompile(c.word).MatchString(out), out)
			assert.Assert(t, strings.Contains(out, "your program has not said what it has to say first"), out)
		})
	}
}

// A command that only starts the program has to pass signals on, as go run does not:
// that is said.
func TestSignalNotPassedOn(t *testing.T) {
	linux(t)
	t.Parallel()
	command(t, "python3")
	program, err := filepath.Abs("testdata/half_open.py")
	assert.NilError(t, err)
	args := append([]string{patient, "-only=TestHalfOpenReplies", "tcp_server:half_open"}, shell(t, "python3 "+program+` "$@"; true`)...)
	code, out, stderr := said(t, args...)
	assert.Equal(t, code, 1, stderr)
	out = strings.Join(strings.Fields(out), " ")
	assert.Assert(t, strings.Contains(out, "it ended: signal: terminated, and what it has started still runs"), out)
}

// What a program prints in one line is cut for people, who see what was expected all
// the same.
func TestLongLine(t *testing.T) {
	var out bytes.Buffer
	long := strings.Repeat("x", 100_000)
	peopleAt(&out).atLength(result{report: &harness.Report{
		Steps:    []harness.Step{{Who: "yours", Text: long + "\nnext"}},
		Expected: "the line: x",
		Came:     "it printed\n" + long,
	}})
	assert.Assert(t, out.Len() < 2000, out.String())
	for _, part := range []string{"yours | xxx", "x…\n", "  next\n", "expected  the line: x\n", "it printed\n", "x… (-json has the"} {
		assert.Assert(t, strings.Contains(out.String(), part), "%q: %s", part, &out)
	}
}

// What cannot be started at all is said before anything is judged.
func TestNoCommand(t *testing.T) {
	linux(t)
	dir := t.TempDir()
	t.Setenv("BUILD_WORKING_DIRECTORY", dir) // as if one stood there
	file := func(name, text string, mode os.FileMode) {
		assert.NilError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), mode))
	}
	file("my.py", "print(1)", 0o644)
	file("my.bin", "no program", 0o755)
	file("my.sh", "#!/no/such/interpreter\n", 0o755)
	assert.NilError(t, os.Mkdir(filepath.Join(dir, "folder"), 0o755))
	for _, c := range []struct {
		code    int
		word    string
		command []string
	}{
		{2, `there is no command nosuch on the PATH`, []string{"nosuch"}},
		{2, `-only stands after the section: the judge's own flags come before it`, []string{"-only", "zzz", "--", "true"}},
		{2, `\./nosuch is not there`, []string{"./nosuch"}},
		{2, `\./folder is a folder`, []string{"./folder"}},
		{2, `\./my\.py is not executable: .*python3 \./my\.py`, []string{"./my.py"}},
		{2, `my\.py is in this folder, and not a command: give \./my\.py`, []string{"my.py"}},
		{2, `mine\.py is not there`, []string{"sh", "mine.py"}},
		{1, `the system cannot run it: a script begins`, []string{"./my.bin"}},
		{1, `it is not there, or the interpreter`, []string{"./my.sh"}},
	} {
		code, out, stderr := said(t, append([]string{"tcp_server:half_open", "--"}, c.command...)...)
		assert.Equal(t, code, c.code, "%q %s %s", c.command, out, stderr)
		assert.Assert(t, regexp.MustCompile(c.word).MatchString(out+stderr), "%q %s %s", c.command, out, stderr)
	}
}

// What is wrong with the command line is said, and what there is instead.
func TestMisuse(t *testing.T) {
	for _, c := range []struct {
		word string
		args []string
	}{
		{`which section\?`, nil},
		{`and which program\?`, []string{"tcp_server:half_open"}},
		{`no section tcp_server; there are broadcast:client, `, []string{"tcp_server"}},
		{`no section tcp_server:half_opne: do you mean tcp_server:half_open\?`, []string{"tcp_server:half_opne", "--", "true"}},
		{`do you mean tcp_server:timeout\?`, []string{"timeout", "--", "true"}},
		{`no section nonsense; there are broadcast:client, `, []string{"nonsense", "--", "true"}},
		{`no claim of tcp_server:half_open matches .*nonsense`, []string{"-only", "nonsense", "tcp_server:half_open", "--", "true"}},
		{`error parsing regexp`, []string{"-only", "(", "tcp_server:half_open", "--", "true"}},
		{`-patience 0s`, []string{"-patience", "0", "tcp_server:half_open", "--", "true"}},
		{`flag provided but not defined: -nonsense`, []string{"-nonsense"}},
		{`judge runs the proofs`, []string{"-h"}},
	} {
		code, out, stderr := said(t, c.args...)
		assert.Equal(t, code, 2, c.args)
		assert.Equal(t, out, "", c.args)
		assert.Assert(t, regexp.MustCompile(c.word).MatchString(stderr), "%q: %s", c.args, stderr)
	}
}

// The claims of a section are those of its own tests: close has none of close_event's.
func TestList(t *testing.T) {
	code, verdicts, _ := asked(t, "-list", "tcp_server:close")
	assert.Equal(t, code, 0)
	assert.Assert(t, verdicts["TestCloseServesTheRest"].Claim != "", "%v", verdicts)
	for test, v := range verdicts {
		assert.Assert(t, !strings.HasPrefix(test, "TestCloseEvent"), test)
		assert.Assert(t, v.Claim != "", test)
	}
	code, out, _ := said(t, "-list", "-only=megabyte|FIN, and then", "//tcp_server:half_open")
	assert.Equal(t, code, 0)
	assert.Equal(t, strings.Count(out, "·"), 1, out)
	assert.Assert(t, strings.Contains(out, "TestHalfOpenReplies"), out)
}

// ownPids has a program for sh write the ids of its processes to a file, which it
// returns: itself, a child, and one that has left its process group, as a daemon does.
func ownPids(t *testing.T) (program []string, pids func() []string) {
	command(t, "setsid")
	file := filepath.Join(t.TempDir(), "pids")
	program = shell(t, fmt.Sprintf(`
trap '' TERM INT HUP
sleep 1000 &
echo $! >>%[1]s
setsid sh -c 'trap "" TERM INT HUP; echo $$ >>%[1]s; while :; do sleep 1000; done' &
echo $$ >>%[1]s
while :; do sleep 1000; done
`, file))
	return program, func() []string {
		text, _ := os.ReadFile(file)
		return strings.Fields(string(text))
	}
}

// Nothing that a program has started outlives the judge, whatever it does against it,
// and whether it is judged to the end or the judge is told to stop.
func TestLeavesNothing(t *testing.T) {
	linux(t)
	t.Parallel()
	for _, interrupted := range []bool{false, true} {
		t.Run(fmt.Sprintf("interrupted=%v", interrupted), func(t *testing.T) {
			t.Parallel()
			program, pids := ownPids(t)
			args := append([]string{"-patience=1s", "-only=TestHalfOpenReplies", "tcp_server:half_open"}, program...)
			if interrupted {
				args[0] = "-patience=1000s"
			}
			cmd, out, errs := judging(t, args...)
			assert.NilError(t, cmd.Start())
			if interrupted {
				poll.WaitOn(t, func(poll.LogT) poll.Result {
					if len(pids()) < 3 {
						return poll.Continue("it is not there yet: %s", errs)
					}
					return poll.Success()
				}, poll.WithTimeout(2*time.Minute))
				assert.NilError(t, cmd.Process.Signal(os.Interrupt))
			}
			cmd.Wait()
			assert.Equal(t, cmd.ProcessState.ExitCode(), map[bool]int{false: 1, true: 130}[interrupted], "%s%s", out, errs)
			assert.Equal(t, len(pids()), 3)
			for _, pid := range pids() {
				_, err := os.Stat("/proc/" + pid)
				assert.ErrorIs(t, err, os.ErrNotExist)
			}
		})
	}
}

// buffer is one that may be read while it is written to.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(text []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(text)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// With -watch a program is judged again when its file has changed, also while it is
// being judged.
func TestWatch(t *testing.T) {
	linux(t)
	t.Parallel()
	command(t, "python3")
	name := filepath.Join(t.TempDir(), "mine.py")
	write := func(from string) {
		text, err := os.ReadFile(filepath.Join("testdata", from))
		assert.NilError(t, err)
		assert.NilError(t, os.WriteFile(name, text, 0o644))
	}
	write("half_open_no_half_close.py")
	cmd, out, _ := judging(t, patient, "-watch", "-only=TestHalfOpenReplies", "tcp_server:half_open", "--", "python3", name)
	assert.NilError(t, cmd.Start())
	await := func(pattern string) {
		t.Helper()
		poll.WaitOn(t, func(poll.LogT) poll.Result {
			if regexp.MustCompile("(?s)" + pattern).MatchString(out.String()) {
				return poll.Success()
			}
			return poll.Continue("%s", out.String())
		}, poll.WithTimeout(2*time.Minute))
	}
	await(`fails: 1 of 1 claim.*waiting for a change of \S*mine\.py`)
	write("half_open.py")
	await(`changed.*holds: 1 claim.*waiting for a change`)
	assert.NilError(t, cmd.Process.Signal(os.Interrupt))
	cmd.Wait()
	assert.Equal(t, cmd.ProcessState.ExitCode(), 130)
}

var (
	moments = regexp.MustCompile(`(?m)^( +)\d+ ms`)
	seconds = regexp.MustCompile(`\d+\.\d s`)
	lineNos = regexp.MustCompile(`(_test\.go):\d+`)
	chance  = regexp.MustCompile(`(?m)^.* yours \| .* closed\n`) // it comes before or after the client's last line, or not at all
	client  = regexp.MustCompile(`127\.0\.0\.1:\d{5}\b`)
)

// What people see of a wrong program, as the judge's page shows it. So that two runs
// give one text, times are 0, the client's port is 50001, and the order of lines is
// not compared, as two programs print them.
func TestTranscript(t *testing.T) {
	linux(t)
	command(t, "python3")
	code, out, stderr := said(t, patient, "-only=TestHalfOpenTranscript", "tcp_server:half_open", "--", "python3", "testdata/half_open_no_half_close.py")
	assert.Equal(t, code, 1, stderr)
	out = moments.ReplaceAllStringFunc(out, func(m string) string { return strings.Repeat(" ", len(m)-4) + "0 ms" })
	out = client.ReplaceAllString(chance.ReplaceAllString(out, ""), "127.0.0.1:50001")
	out = lineNos.ReplaceAllString(seconds.ReplaceAllString(out, "0.1 s"), "$1")
	const name = "half_open_no_half_close.txt"
	if golden.FlagUpdate() {
		golden.Assert(t, out, name)
	}
	sorted := func(text string) []string { return slices.Sorted(strings.Lines(text)) }
	assert.DeepEqual(t, sorted(out), sorted(string(golden.Get(t, name))))
}
