package all

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"example.com/sockets/integration/harness"
	"example.com/sockets/integration/lab"
	"example.com/sockets/integration/peer"
)

// commandLines has each section's flags, name or name=default, and command lines
// that it refuses beyond those that every section with such a flag does.
var commandLines = map[string]struct {
	flags  string
	wrong  []string
	listen string // what it says of an address that it cannot listen on, if it does
}{
	"tcp_server/server":         {flags: "addr=127.0.0.1:8080", listen: "listen tcp"},
	"tcp_server/listen":         {flags: "addr=127.0.0.1:8080 backlog=511", wrong: []string{"-backlog -1", "-backlog x"}, listen: "listen tcp"},
	"tcp_server/address":        {flags: "addr=127.0.0.1:8080", listen: "listen tcp"},
	"tcp_server/connections":    {flags: "addr=127.0.0.1:8080 max", wrong: []string{"-max -1", "-max x"}, listen: "listen tcp"},
	"tcp_server/close":          {flags: "addr=127.0.0.1:8080", listen: "listen tcp"},
	"tcp_server/half_open":      {flags: "addr=127.0.0.1:8080 allow=true", wrong: []string{"-allow=perhaps"}, listen: "listen tcp"},
	"tcp_server/socket_address": {flags: "addr=127.0.0.1:8080", listen: "listen tcp"},
	"tcp_server/read":           {flags: "addr=127.0.0.1:8080 buffer=1024", wrong: []string{"-buffer 0", "-buffer -1", "-buffer x"}, listen: "listen tcp"},
	"tcp_server/messages":       {flags: "addr=127.0.0.1:8080 framing=line", wrong: []string{"-framing=", "-framing lines", "-framing LINE"}, listen: "listen tcp"},
	"tcp_server/close_event":    {flags: "addr=127.0.0.1:8080", listen: "listen tcp"},
	"tcp_server/pipe":           {flags: "addr=127.0.0.1:8080 to=message.txt", wrong: []string{"-to=", "-to ."}, listen: "listen tcp"},
	"tcp_server/unpipe":         {flags: "addr=127.0.0.1:8080 to=message.txt after=5s", wrong: []string{"-to=", "-to .", "-after -1s"}, listen: "listen tcp"},
	"tcp_server/pause_resume":   {flags: "addr=127.0.0.1:8080 pause=2s", wrong: []string{"-pause -1s"}, listen: "listen tcp"},
	"tcp_server/timeout":        {flags: "addr=127.0.0.1:8080 timeout=10s", wrong: []string{"-timeout -1s"}, listen: "listen tcp"},
	"tcp_server/relay":          {flags: "addr=127.0.0.1:8080 to=127.0.0.1:8081", wrong: []string{"-to=", "-to nonsense", "-to 127.0.0.1:65536", "-to ::1:0", "-to host.invalid:1"}, listen: "listen tcp"},
	"tcp_client/client":         {flags: "addr=127.0.0.1:8080 message=hello"},
	"tcp_client/write":          {flags: "addr=127.0.0.1:8080 bytes=1048576 chunk=65536", wrong: []string{"-bytes -1", "-chunk 0", "-chunk -1"}},
	"tcp_client/close":          {flags: "addr=127.0.0.1:8080 how=end", wrong: []string{"-how gently", "-how=", "-how END"}},
	"tcp_client/unref":          {flags: "addr=127.0.0.1:8080 ref=true", wrong: []string{"-ref=perhaps", "-ref false"}},
	"tcp_client/buffer_size":    {flags: "addr=127.0.0.1:8080 bytes=67108864", wrong: []string{"-bytes -1", "-bytes 64M"}},
	"tcp_client/keepalive": {flags: "addr=127.0.0.1:8080 idle=15s interval=15s count=9",
		wrong: []string{"-idle 0", "-idle -1s", "-idle 500ms", "-idle 1500ms", "-idle 32768s", "-interval 0", "-interval -1s", "-interval 32768s", "-count 0", "-count -1", "-count 128"}},
	"tcp_client/connecting": {flags: "addr=127.0.0.1:8080 block pause=100ms timeout=5s tries=1",
		wrong: []string{"-tries 0", "-tries -1", "-pause 0s", "-pause 999us", "-pause 1h1ns", "-timeout -1s", "-block 10.0.0.1", "-block 10.0.0.0/33", "-block 127.0.0.0/8"}},
	"tcp_client/happy_eyeballs": {flags: "addr=localhost:8080 delay dns family", wrong: []string{"-family 5", "-family -4", "-family tcp4", "-delay 300"}},
	"tcp_client/no_delay":       {flags: "addr=127.0.0.1:8080 cork message no-delay=true", wrong: []string{"-message=", "-no-delay=perhaps", "-cork=perhaps", "-no-delay false"}},
	"udp_server/server":         {flags: "addr=127.0.0.1:8080", wrong: []string{"-addr 239.1.1.1:8080"}, listen: "listen udp"},
	"udp_server/bind":           {flags: "addr=127.0.0.1:8080 network=udp4", wrong: append(wrongNetworks, "-addr 239.1.1.1:8080"), listen: "listen udp4"},
	"udp_server/address":        {flags: "addr=127.0.0.1:8080 network=udp4", wrong: append(wrongNetworks, "-addr 239.1.1.1:8080"), listen: "listen udp4"},
	"udp_client/client":         {flags: "addr=127.0.0.1:8080 message=hello timeout=2s", wrong: []string{"-timeout 0", "-timeout -1s"}},
	"udp_server/buffer_sizes":   {flags: "addr=127.0.0.1:8080 receive send", wrong: []string{"-addr 239.1.1.1:8080", "-receive -1", "-receive 64K", "-send -1", "-send 2147483648"}, listen: "listen udp"},
	"udp_server/packet_info":    {flags: "addr=127.0.0.1:8080", wrong: []string{"-addr 239.1.1.1:8080"}, listen: "listen udp"},
	"udp_server/truncated":      {flags: "addr=127.0.0.1:8080 buffer=16 grow", wrong: []string{"-addr 239.1.1.1:8080", "-buffer 0", "-buffer 65536", "-buffer -1", "-grow=perhaps"}, listen: "listen udp"},
	"udp_client/connect":        {flags: "addr=127.0.0.1:8080 from=127.0.0.1:8081", wrong: []string{"-from=", "-from nonsense", "-from 127.0.0.1:65536", "-from 192.0.2.1:1"}},
	"udp_client/send": {flags: "addr=127.0.0.1:8080 message=hello offset length",
		wrong: []string{"-offset -1", "-offset 6", "-length 6", "-offset 3 -length 3", "-length -1", "-offset x"}},
	"broadcast/server": {flags: "addr=127.255.255.255:8080 from=0.0.0.0:0 interval=1s count",
		wrong: []string{"-interval 0", "-interval -1s", "-count -1", "-addr [::1]:8080", "-from 192.0.2.1:0", "-from nonsense"}},
	"broadcast/client": {flags: "addr=127.255.255.255:8080", wrong: []string{"-addr 239.1.1.1:8080", "-addr [::1]:8080"}, listen: "listen udp4"},
	"multicast/server": {flags: "group=230.185.192.108:8080 interface ttl=128 loopback=true interval=1s count",
		wrong: []string{"-ttl 256", "-ttl -1", "-interval 0", "-interval -1s", "-count -1"}},
	"multicast/client":     {flags: "group=230.185.192.108:8080 interface"},
	"multicast/membership": {flags: "group=230.185.192.108:8080 interface leave-after=5s", wrong: []string{"-leave-after -1s"}},
	"multicast/source": {flags: "group=232.185.192.108:8080 source=127.0.0.1 interface",
		wrong: []string{"-source=", "-source 0.0.0.0", "-source 224.0.0.1", "-source 255.255.255.255", "-source ::1", "-source localhost"}},
	"multicast/ttl":      {flags: "group=230.185.192.108:8080 interface ttl=0,1,2,128", wrong: []string{"-ttl 256", "-ttl -1", "-ttl=", "-ttl 1,", "-ttl 1,x"}},
	"multicast/loopback": {flags: "group=230.185.192.108:8080 interface wait=500ms", wrong: []string{"-wait 0", "-wait -1s"}},
	"multicast/ipv6": {flags: "group=[ff12::1234]:8080 interface message hops=1",
		wrong: []string{"-group [fe80::1]:8080", "-group [ff12::1234%lo]:8080", "-group 224.0.0.1:8080", "-hops 256", "-hops -1"}},
	"multicast/scopes": {},
}

var wrongNetworks = []string{"-network udp", "-network tcp4", "-network UDP4", "-network=", "-network ip4:udp"}

// byDefault is the end of a flag's description, with a value of one word.
var byDefault = regexp.MustCompile(`\(default "?(\S+?)"?\)$`)

// flagsOf returns the flags in a usage text, name or name=default, and the
// description of each.
func flagsOf(help string) (flags []string, texts map[string]string) {
	texts = map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^  -(\S+).*\n    \t(.*)$`).FindAllStringSubmatch(help, -1) {
		texts[m[1]] = m[2]
		if value := byDefault.FindStringSubmatch(m[2]); value != nil {
			m[1] += "=" + value[1]
		}
		flags = append(flags, m[1])
	}
	return flags, texts
}

// -h lists a section's flags, with their units. What the section cannot use it
// refuses, before it says anything on stdout: package flag with its usage and
// exit code 2, the section itself, the library or the kernel with one line that
// names the section, and exit code 1.
func TestCommandLine(t *testing.T) {
	t.Parallel()
	for section, line := range commandLines {
		if !built(section) {
			continue
		}
		t.Run(section, func(t *testing.T) {
			t.Parallel()
			h := lab.NewHost(t, "h")
			chapter, name, _ := strings.Cut(section, "/")
			switch chapter { // what a client would have connected to
			case "tcp_client":
				peer.ListenTCP(t, h, "127.0.0.1:8080")
			case "udp_client":
				peer.ListenUDP(t, h, "udp4", "127.0.0.1:8080")
			}
			stdout, help, code := harness.Run(t, h, section, "-h")
			assert.Equal(t, code, 0)
			assert.Equal(t, stdout, "")
			flags, texts := flagsOf(help)
			want := strings.Fields(line.flags)
			slices.Sort(want)
			assert.Equal(t, strings.Join(flags, " "), strings.Join(want, " "))

			wrong := append([]string{"-nonsense"}, line.wrong...)
			if section != "multicast/scopes" { // which takes addresses
				wrong = append(wrong, "leftover")
			}
			for flag, text := range texts {
				switch {
				case flag == "addr":
					wrong = append(wrong, "-addr=", "-addr nonsense", "-addr 127.0.0.1:65536", "-addr ::1:0", "-addr host.invalid:1") // RFC 2606 keeps .invalid free
				case flag == "group":
					wrong = append(wrong, "-group=", "-group nonsense", "-group 192.0.2.1:8080")
					if section != "multicast/ipv6" {
						wrong = append(wrong, "-group [ff02::1]:8080")
					}
				case flag == "interface":
					wrong = append(wrong, "-interface nope0")
				case regexp.MustCompile(`default \d+m?s\)`).MatchString(text):
					assert.Assert(t, regexp.MustCompile(`\d+m?s\b.*\(default`).MatchString(text), "-%s does not show its units: %s", flag, text)
					wrong = append(wrong, "-"+flag+" 5")
				}
			}
			for _, args := range wrong {
				stdout, stderr, code := harness.Run(t, h, section, strings.Fields(args)...)
				assert.Equal(t, stdout, "", args)
				_, usage, _ := strings.Cut(stderr, "\n")
				switch code {
				case 1:
					assert.Assert(t, strings.HasPrefix(stderr, name+": ") && usage == "" && strings.HasSuffix(stderr, "\n"), "%s: %q", args, stderr)
				case 2:
					assert.Equal(t, usage, help, args)
				default:
					t.Errorf("%s %s: exit code %d, stderr %q", section, args, code, stderr)
				}
			}
		})
	}
	for _, section := range harness.Sections() {
		if _, ok := commandLines[section]; !ok {
			t.Errorf("%s has no row in commandLines: its flags, as name or name=default, and lines that it refuses", section)
		}
	}
}

// A server whose address is taken, or is another machine's, says so and ends.
func TestCannotListen(t *testing.T) {
	t.Parallel()
	for section, line := range commandLines {
		if line.listen == "" || !built(section) {
			continue
		}
		t.Run(section, func(t *testing.T) {
			t.Parallel()
			h := lab.NewHost(t, "h")
			taken := ""
			if strings.HasPrefix(line.listen, "listen tcp") {
				taken = peer.ListenTCP(t, h, "127.0.0.1:0").Addr().String()
			} else {
				taken = peer.ListenUDP(t, h, "udp", "127.0.0.1:0").LocalAddr().String()
			}
			for addr, cause := range map[string]string{
				taken:         "bind: .*in use.*",
				"192.0.2.1:1": "bind: .*", // TEST-NET-1, RFC 5737
			} {
				peer.Refuses(t, h, section, regexp.QuoteMeta(line.listen+" "+addr+": ")+cause, "-addr", addr)
			}
		})
	}
}
