package pages

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
)

// resultsFile is where the bench leaves what pages may cite.
const resultsFile = "integration/bench/results.json"

// Measured is one of the bench's ratios: how many times as good a section was as
// another program, in the rounds' median, the worst and the best of them.
type Measured struct {
	Section            string // as in tcp_server:pipe, or a program that is none
	Contest, Against   string
	Times, Least, Most float64
	Rounds             int
}

// slow tells whether a page owes its reader a reason: in no round it was as good as it
// should be. Elsewhere noise hides the answer.
func (m Measured) slow() bool {
	if strings.HasPrefix(m.Against, "limit") {
		return m.Most < 0.5
	}
	return m.Most < 1 && (strings.HasPrefix(m.Against, "Node") || strings.HasPrefix(m.Against, "socat"))
}

// include is how a page cites it.
func (m Measured) include() string { return "bench " + m.Contest + ": " + m.Against }

func measured(tree fs.FS) (all []Measured, err error) {
	data, err := fs.ReadFile(tree, resultsFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(data, &all); err != nil {
		return nil, fmt.Errorf("%s: %w", resultsFile, err)
	}
	return all, nil
}

// bench is a sentence with the figure of such an include.
func (w *weaver) bench(page, what string) (string, error) {
	all, err := measured(w.tree)
	if err != nil {
		return "", err
	}
	for _, m := range all {
		if m.include() != what {
			continue
		}
		limit, isLimit := strings.CutPrefix(m.Against, "limit: ")
		contest, format, against := m.Contest, "[Measured](%s): %s, %.2f times as good as %s (%.2f to %.2f in %d rounds).", m.Against
		if isLimit {
			against = "the limit (" + limit + ")"
		}
		if path.Base(page) == "README.zh-CN.md" {
			contest = nameInChinese(contest)
			format, against = "[实测](%[1]s)：%[2]s，表现为%[4]s的 %.2[3]f 倍（%[7]d 轮中为 %.2[5]f 到 %.2[6]f，越大越好）。", " "+m.Against+" "
			if isLimit {
				against = "上限（" + nameInChinese(limit) + "）"
			} else if nameInChinese(m.Against) != m.Against {
				against = nameInChinese(m.Against)
			}
		}
		return fmt.Sprintf(format, Relative(page, "integration/bench/README.md"), contest, m.Times, against, m.Least, m.Most, m.Rounds), nil
	}
	return "", fmt.Errorf("%s has no such contest and row", resultsFile)
}

// nameInChinese is what Chinese pages call a contest or a row, if not the same.
func nameInChinese(s string) string {
	return cmp.Or(map[string]string{
		"multicast received, members: 10":            "接收组播，10 个成员",
		"bare recvmsg loop":                          "只有 recvmsg 的循环",
		"the same, printing a line each":             "每个数据报打印一行的同样的循环",
		"memory of an idle connection, 6500 of them": "6500 条空闲连接时每条占用的内存",
		"pipe into a file":                           "写入文件",
		"relay":                                      "中继",
		"iperf3, direct":                             "iperf3 直连",
	}[s], s)
}
