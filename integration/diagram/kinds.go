package diagram

import (
	"regexp"
	"strings"
)

// look is how an arrow is drawn. Its colour tells what crossed, and so do the
// line's dashes and its head, for those who see no colours.
type look struct {
	class       string // in an SVG, for a stylesheet
	light, dark string // its colour on a light and on a dark ground; on either it reads well (WCAG 2, AA)
	sgr         string // its colour in a terminal (ECMA-48, "select graphic rendition")
	width       float64
	dash        string // as in SVG's stroke-dasharray
	cell        string // a terminal's cell of the line
	head        head
}

type head int

const (
	filled head = iota
	open
	barred // a filled one before a bar: no more comes
	cross  // the connection is gone
	ring   // to a group
)

var (
	syn      = look{"syn", "#0550ae", "#79c0ff", "34", 1.5, "", "─", filled}
	ack      = look{"ack", "#57606a", "#9aa4af", "90", 1, "", "─", open}
	data     = look{"data", "#116329", "#7ee787", "32", 2.5, "", "━", filled}
	fin      = look{"fin", "#8a4600", "#ffb757", "33", 1.5, "7 4", "╌", barred}
	rst      = look{"rst", "#a40e26", "#ff8a84", "31", 1.5, "", "─", cross}
	probe    = look{"probe", "#6639ba", "#d2a8ff", "35", 1.5, "1.5 4", "┈", open}
	window   = look{"window", "#6639ba", "#d2a8ff", "35", 1.5, "8 3 1.5 3", "┄", open}
	udp      = look{"udp", "#116329", "#7ee787", "32", 2.5, "14 2", "━", filled}
	fragment = look{"fragment", "#116329", "#7ee787", "32", 2.5, "5 2", "╍", filled}
	icmp     = look{"icmp", "#a40e26", "#ff8a84", "31", 1.5, "3 3", "╌", open}
	igmp     = look{"igmp", "#0f6b73", "#76e3ea", "36", 1.5, "8 3 1.5 3 1.5 3", "┄", ring}
	other    = look{"other", "", "", "", 1.5, "", "─", open}

	looks = []*look{&syn, &ack, &data, &fin, &rst, &probe, &window, &udp, &fragment, &icmp, &igmp, &other}
)

// kind is a kind of label: how its arrow is drawn, and what it says in full.
type kind struct {
	label *regexp.Regexp
	*look
	en, zh string // $1 and so on are the label's groups
}

// kinds are those of integration/wire, and any other.
var kinds = []kind{
	{regexp.MustCompile(`^SYN$`), &syn,
		"flag SYN, seq 0, length 0: it asks for a connection",
		"标志 SYN，序号 0，长度 0：请求建立连接"},
	{regexp.MustCompile(`^SYN again$`), &syn,
		"flag SYN, seq 0, length 0: no answer came, it asks again",
		"标志 SYN，序号 0，长度 0：没有回答，再次请求"},
	{regexp.MustCompile(`^SYN, ACK$`), &syn,
		"flags SYN and ACK, seq 0, length 0: it agrees, and asks for the other direction",
		"标志 SYN 和 ACK，序号 0，长度 0：同意，并请求建立另一个方向"},
	{regexp.MustCompile(`^ACK$`), &ack,
		"flag ACK, length 0: it acknowledges, and carries nothing else",
		"标志 ACK，长度 0：只是确认"},
	{regexp.MustCompile(`^(\d+) bytes?, seq (\d+)$`), &data,
		"flag ACK, seq $2, length $1: the stream's bytes from number $2 on",
		"标志 ACK，序号 $2，长度 $1：字节流中从第 $2 个字节开始的数据"},
	{regexp.MustCompile(`^data$`), &data,
		"flag ACK: bytes of the stream, how many in a segment differs from run to run",
		"标志 ACK：字节流的数据，每个报文段有多少字节，每次运行都不同"},
	{regexp.MustCompile(`^FIN, seq (\d+)$`), &fin,
		"flags FIN and ACK, seq $1, after the last byte: this direction ends, the other need not",
		"标志 FIN 和 ACK，序号 $1，紧接最后一个字节：这个方向到此结束，另一个方向不一定"},
	{regexp.MustCompile(`^FIN$`), &fin,
		"flags FIN and ACK: this direction ends, the other need not",
		"标志 FIN 和 ACK：这个方向到此结束，另一个方向不一定"},
	{regexp.MustCompile(`^RST$`), &rst,
		"flag RST, length 0: there is no connection, or none any more",
		"标志 RST，长度 0：没有这个连接，或者连接已被重置"},
	{regexp.MustCompile(`^probe$`), &probe,
		"flag ACK, seq of a byte acknowledged before: the peer has to answer",
		"标志 ACK，序号是已确认过的字节：对端必须回答"},
	{regexp.MustCompile(`^window closed$`), &window,
		"flag ACK, window 0: its buffer is full, the peer must wait",
		"标志 ACK，窗口 0：缓冲区满了，对端必须等待"},
	{regexp.MustCompile(`^window open$`), &window,
		"flag ACK, window above 0: its buffer has room again",
		"标志 ACK，窗口大于 0：缓冲区又有空间了"},
	{regexp.MustCompile(`^(\d+) bytes?(?: to [^\s,]+)?(?:, TTL \d+)?$`), &udp,
		"a datagram, length $1", "一个数据报，长度 $1"},
	{regexp.MustCompile(`^fragment, bytes \d+ to \d+$`), &fragment,
		"a part of an IP packet too large for the link", "一个 IP 包太大，这是它的一个分片"},
	{regexp.MustCompile(`^ICMP .+$`), &icmp,
		"the other host's kernel tells what became of a packet", "对端主机的内核报告数据包的下场"},
	{regexp.MustCompile(`^IGMP join .+$`), &igmp,
		"a host wants to receive what is sent to the group", "主机请求接收发往这个组的数据报"},
	{regexp.MustCompile(`^IGMP leave .+$`), &igmp,
		"a host no longer wants what is sent to the group", "主机不再接收发往这个组的数据报"},
	{regexp.MustCompile(``), &other, "", ""},
}

// kindOf returns a label's kind, and what the label says in full.
func kindOf(label, lang string) (k kind, full string) {
	for _, k = range kinds {
		if m := k.label.FindStringSubmatchIndex(label); m != nil {
			full := k.en
			if strings.HasPrefix(lang, "zh") {
				full = k.zh
			}
			return k, string(k.label.ExpandString(nil, full, label, m))
		}
	}
	panic("the last kind is of any label")
}
