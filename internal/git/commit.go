package git

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"mgx"
)

// CommitRequest describes a commit of a checkpoint.
type CommitRequest struct {
	Tree        string // from Checkpoint
	Parent      string // a commit
	Message     string
	AuthorName  string
	AuthorEmail string
	When        time.Time
}

// Commit commits a tree, and moves the clone's branch and index to it, so that
// what agents ask git is answered truly. The same request gives the same commit.
func (c *Clone) Commit(ctx context.Context, r CommitRequest) (commit string, err error) {
	if err := needIDs(r.Tree, r.Parent); err != nil {
		return "", err
	}
	end, err := c.begin()
	if err != nil {
		return "", err
	}
	defer end()
	when := r.commitTime()
	who := identity("AUTHOR", r.AuthorName, r.AuthorEmail, when)
	who = append(who, identity("COMMITTER", r.AuthorName, r.AuthorEmail, when)...)
	out, err := c.run(ctx, command{
		args: []string{"commit-tree", "-p", r.Parent, "-F", "-", r.Tree}, stdin: strings.NewReader(cleanMessage(r.Message)),
		access: stores, env: who, timeout: quick, doing: "commit",
	})
	if err != nil {
		return "", err
	}
	commit = strings.TrimSpace(out)
	if err := needIDs(commit); err != nil {
		return "", err
	}
	return commit, c.moveTo(ctx, commit)
}

const moveScript = `
git update-ref HEAD "$1" &&
git read-tree --reset "$1" &&
git update-index -q --refresh`

// moveTo moves the branch and git's own index to a commit, not the files.
func (c *Clone) moveTo(ctx context.Context, commit string) error {
	_, err := c.run(ctx, command{script: moveScript, args: []string{commit}, access: stores, doing: "move the branch"})
	return err
}

// identity is who did something and when, in git's environment. Git refuses an
// empty name and takes out what would break its format; a line of its own must
// not survive either.
func identity(role, name, email string, when time.Time) []string {
	return []string{
		fmt.Sprintf("GIT_%s_NAME=%s", role, cleanName(name)),
		fmt.Sprintf("GIT_%s_EMAIL=%s", role, cleanName(email)),
		fmt.Sprintf("GIT_%s_DATE=@%d +0000", role, when.Unix()),
	}
}

func cleanName(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || strings.ContainsRune("<>", r) || r == unicode.ReplacementChar {
			return -1
		}
		return r
	}, s)
	if s = strings.Trim(s, " .,:;\"'\\"); s == "" {
		return "MGX"
	}
	return s
}

const maxMessage = 64 << 10 // bytes

// cleanMessage makes a message that git stores as it is: UTF-8, without NULs and
// other control characters, ending in one newline.
func cleanMessage(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return -1
		}
		return r
	}, s)
	if len(s) > maxMessage {
		s = strings.ToValidUTF8(s[:maxMessage], "")
	}
	if s = strings.TrimSpace(s); s == "" {
		s = "Change made by MGX"
	}
	return s + "\n"
}

// Log returns the subjects of the last n commits, latest first.
func (c *Clone) Log(ctx context.Context, n int) ([]string, error) {
	end, err := c.begin()
	if err != nil {
		return nil, err
	}
	defer end()
	return c.log(ctx, n, "%s")
}

func (c *Clone) log(ctx context.Context, n int, format string) ([]string, error) {
	out, err := c.run(ctx, command{
		args: []string{"log", "-z", fmt.Sprintf("--max-count=%d", n), "--no-color", "--no-decorate", "--encoding=UTF-8", "--format=" + format, "HEAD", "--"},
		cut:  true, timeout: quick, doing: "read the log",
	})
	if err != nil {
		return nil, err
	}
	var lines []string
	for line := range strings.SplitSeq(strings.TrimSuffix(out, "\x00"), "\x00") {
		if runes := []rune(line); len(runes) > 200 {
			line = string(runes[:200]) + "…"
		}
		lines = append(lines, strings.ToValidUTF8(line, "\uFFFD"))
	}
	return lines, nil
}

const maxMessages = 16 << 20 // bytes of the messages that trailers are looked for in

// Trailers returns the values of the lines "KEY: value" in the messages of the last n
// commits, wherever in a message they stand: who squashes commits joins their
// messages. It is not the whole of them when the messages are too long to be read.
func (c *Clone) Trailers(ctx context.Context, key string, n int) (values []string, whole bool, err error) {
	end, err := c.begin()
	if err != nil {
		return nil, false, err
	}
	defer end()
	var over int64
	out, err := c.run(ctx, command{
		args:  []string{"log", fmt.Sprintf("--max-count=%d", n), "--no-color", "--no-decorate", "--encoding=UTF-8", "--format=%B", "HEAD", "--"},
		limit: maxMessages, cut: true, over: &over, timeout: quick, doing: "read the messages of commits",
	})
	if err != nil {
		return nil, false, err
	}
	for line := range strings.Lines(out) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), key+": "); ok {
			values = append(values, v)
		}
	}
	slices.Sort(values)
	return slices.Compact(values), over == 0, nil
}

const (
	statusCommits = 3
	statusLines   = 20
)

// Status says in a few lines where the clone stands: its branch, the last
// commits, and what differs from them.
func (c *Clone) Status(ctx context.Context) (string, error) {
	end, err := c.begin()
	if err != nil {
		return "", err
	}
	defer end()
	commits, err := c.log(ctx, statusCommits, "%h %s")
	if err != nil {
		return "", err
	}
	out, err := c.run(ctx, command{
		args: []string{"status", "--porcelain", "-z", "--no-renames", "--ignore-submodules=all", "--untracked-files=normal"},
		cut:  true, timeout: quick, doing: "compare the files",
	})
	if err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "branch: %s\nlast commits:\n", c.branch())
	for _, line := range commits {
		fmt.Fprintf(&b, "  %s\n", line)
	}
	entries := strings.Split(strings.TrimSuffix(out, "\x00"), "\x00")
	if out == "" {
		b.WriteString("no uncommitted changes\n")
		return b.String(), nil
	}
	b.WriteString("uncommitted changes:\n")
	for i, e := range entries {
		if i == statusLines {
			fmt.Fprintf(&b, "  and %d more\n", len(entries)-i)
			break
		}
		fmt.Fprintf(&b, "  %s\n", printable(e))
	}
	return b.String(), nil
}

// printable quotes a line with a name that would not print as one line of text.
func printable(s string) string {
	if quoted := fmt.Sprintf("%q", s); quoted != `"`+s+`"` {
		return quoted
	}
	return s
}

// commitTime keeps the zero time out of commits: git's own formats start in 1970.
func (r CommitRequest) commitTime() time.Time {
	if r.When.IsZero() {
		return mgx.Stamp()
	}
	return r.When
}
