package policy

import (
	"cmp"
	"path"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// Shape is what can be seen of a line of shell without running it.
type Shape struct {
	Commands []Command
	// Unknown says why the line may run more than its commands show; empty when
	// it does not.
	Unknown string
}

// Command is a simple command: its assignments, if any, and its words. Where a
// line writes to or reads from a file, or sets a variable, that is a command of
// its own: "> FILE", "< FILE", "NAME=VALUE".
type Command struct {
	Words []Word
	// Bare is where the command proper begins, after assignments.
	Bare int
	// Wraps: it may run what its words say, as sudo does.
	Wraps bool
}

// Word is one word of a command. A dynamic one is known only when it runs, and may
// become several or none.
type Word struct {
	Text    string
	Dynamic bool
}

// Bounds of what is read; what is larger counts as unknown.
const (
	maxShell    = 128 << 10 // bytes
	maxCommands = 2000
	maxNested   = 4   // shells in shells
	maxDeep     = 500 // of brackets, which the parser descends into
)

// ReadCommand reads a line of shell, as bash does.
func ReadCommand(text string) Shape {
	r := shellReader{}
	r.read(text, 0)
	return r.shape
}

type shellReader struct{ shape Shape }

func (r *shellReader) unknown(why string) { r.shape.Unknown = cmp.Or(r.shape.Unknown, why) }

func (r *shellReader) add(words []Word, bare int, wraps bool) {
	if len(r.shape.Commands) >= maxCommands {
		r.unknown("it has too many commands")
		return
	}
	r.shape.Commands = append(r.shape.Commands, Command{Words: words, Bare: bare, Wraps: wraps})
}

func (r *shellReader) read(text string, depth int) {
	switch {
	case len(text) > maxShell || depth > maxNested || deep(text) > maxDeep:
		r.unknown("it is too large to read")
		return
	case strings.ContainsRune(text, 0):
		r.unknown("it cannot be read as shell")
		return
	}
	file, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(text), "")
	if err != nil {
		r.unknown("it cannot be read as shell")
	}
	if file == nil {
		return
	}
	syntax.Walk(file, func(n syntax.Node) bool {
		r.node(n, depth)
		return true
	})
}

// deep is how many brackets are open at most, at a guess from above.
func deep(text string) int {
	open := 0
	for i := range len(text) {
		if strings.IndexByte("({[`", text[i]) >= 0 {
			open++
		}
	}
	return open + strings.Count(text, "if ") + strings.Count(text, "do ") + strings.Count(text, "case ")
}

func (r *shellReader) node(n syntax.Node, depth int) {
	switch n := n.(type) {
	case *syntax.CallExpr:
		r.call(n, depth)
	case *syntax.DeclClause:
		r.add(append([]Word{{Text: n.Variant.Value}}, assigned(n.Args)...), 0, false)
	case *syntax.Redirect:
		r.redirect(n)
	case *syntax.ForClause:
		if it, ok := n.Loop.(*syntax.WordIter); ok && it.Name != nil && it.Name.Value == strings.ToUpper(it.Name.Value) {
			r.unknown("it sets a variable that programs may read")
		}
	case *syntax.ArithmCmd, *syntax.LetClause, *syntax.CStyleLoop:
		r.add([]Word{{Text: "(("}}, 0, false)
	case *syntax.CoprocClause, *syntax.TestDecl:
		r.unknown("it uses a form of shell that is not read")
	case *syntax.ParamExp:
		if e := n.Exp; e != nil && (e.Op == syntax.AssignUnset || e.Op == syntax.AssignUnsetOrNull || e.Op == syntax.OtherParamOps) {
			r.unknown("it sets or runs something in an expansion")
		}
	case *syntax.BinaryArithm:
		if strings.HasSuffix(n.Op.String(), "=") && !slices.Contains([]string{"==", "!=", "<=", ">="}, n.Op.String()) {
			r.unknown("it sets something in an expansion")
		}
	case *syntax.UnaryArithm:
		if n.Op == syntax.Inc || n.Op == syntax.Dec {
			r.unknown("it sets something in an expansion")
		}
	}
}

func (r *shellReader) call(n *syntax.CallExpr, depth int) {
	words := assigned(n.Assigns)
	if len(n.Args) == 0 {
		for _, w := range words {
			r.add([]Word{w}, 0, false)
		}
		return
	}
	bare := len(words)
	for _, a := range n.Args {
		words = append(words, word(a))
	}
	proper := words[bare:]
	name := path.Base(proper[0].Text)
	through := slices.Contains(wrappers, name) || slices.Contains([]string{"find", "git"}, name) && runs(proper)
	switch {
	case proper[0].Dynamic:
		r.unknown("which program it runs is known only when it runs")
	case slices.Contains(shells, name) && len(proper) == 3 && proper[1].Text == "-c" && !proper[2].Dynamic:
		r.read(proper[2].Text, depth+1)
		return
	case slices.Contains(shells, name):
		through = len(proper) == 1 || slices.ContainsFunc(proper[1:], func(w Word) bool { return w.Dynamic || strings.HasPrefix(w.Text, "-") })
	case name == "eval":
		r.read(joined(proper[1:]), depth+1)
	}
	if through {
		r.unknown(name + " runs other programs")
		for _, w := range proper[1:] { // any of them may be a line of shell
			if strings.ContainsAny(w.Text, " \t\n;&|") {
				r.read(w.Text, depth+1)
			}
		}
	}
	r.add(words, bare, through || slices.Contains(interpreters, name))
}

// wrappers run programs that their words name, or text that they are given.
var wrappers = []string{
	".", "busybox", "builtin", "chroot", "chrt", "command", "doas", "env", "eval", "exec", "flock", "ionice", "nice", "nohup", "nsenter",
	"parallel", "runuser", "script", "setarch", "setpriv", "setsid", "source", "stdbuf", "strace", "su", "sudo", "taskset", "time", "timeout",
	"toybox", "trap", "unshare", "watch", "xargs", "alias", "enable", "hash", "mapfile", "readarray",
}

// interpreters run text that may hold the words of a command. To forbid, their
// words are looked through; to allow, they are programs like others.
var interpreters = []string{"awk", "gawk", "mawk", "perl", "python", "python3", "ruby", "node", "lua", "php", "ssh", "expect", "tclsh"}

var shells = []string{"sh", "bash", "dash", "zsh", "ksh", "ash", "mksh", "fish"}

// runs reports whether a find or git command names a program to run.
func runs(words []Word) bool {
	return slices.ContainsFunc(words[1:], func(w Word) bool {
		return w.Dynamic || slices.Contains([]string{"-exec", "-execdir", "-ok", "-okdir", "-c", "--exec-path", "bisect"}, w.Text) ||
			strings.HasPrefix(w.Text, "--upload-pack") || strings.HasPrefix(w.Text, "--receive-pack") || strings.HasPrefix(w.Text, "--config-env") ||
			strings.HasPrefix(w.Text, "-c") && len(w.Text) > 2 && strings.Contains(w.Text, "=") || strings.HasPrefix(w.Text, "ext::")
	})
}

func joined(words []Word) string {
	var texts []string
	for _, w := range words {
		texts = append(texts, w.Text)
	}
	return strings.Join(texts, " ")
}

// assigned are assignments as words.
func assigned(list []*syntax.Assign) []Word {
	var words []Word
	for _, a := range list {
		w := Word{}
		if a.Value != nil {
			w = word(a.Value)
		}
		if a.Name != nil {
			sign := "="
			if a.Append {
				sign = "+="
			}
			if a.Naked {
				sign = ""
			}
			w.Text = a.Name.Value + sign + w.Text
		}
		w.Dynamic = w.Dynamic || a.Array != nil || a.Index != nil
		words = append(words, w)
	}
	return words
}

// redirect tells of files that are written and read. Those of descriptors, and
// text in the line itself, touch none.
func (r *shellReader) redirect(n *syntax.Redirect) {
	if n.Op == syntax.Hdoc || n.Op == syntax.DashHdoc || n.Op == syntax.WordHdoc || n.Word == nil {
		return
	}
	w := word(n.Word)
	descriptor := strings.Trim(w.Text, "0123456789-") == "" && !w.Dynamic
	if (n.Op == syntax.DplIn || n.Op == syntax.DplOut) && descriptor || w.Text == "/dev/null" && !w.Dynamic {
		return
	}
	sign := ">"
	if n.Op == syntax.RdrIn || n.Op == syntax.DplIn {
		sign = "<"
	}
	r.add([]Word{{Text: sign}, w}, 0, false)
}

// word takes the quotes off a word. What the shell would still change makes it
// dynamic.
func word(w *syntax.Word) Word {
	var out Word
	var b strings.Builder
	for i, part := range w.Parts {
		switch p := part.(type) {
		case *syntax.Lit:
			text, plain := unescape(p.Value)
			out.Dynamic = out.Dynamic || !plain || i == 0 && strings.HasPrefix(p.Value, "~")
			b.WriteString(text)
		case *syntax.SglQuoted:
			out.Dynamic = out.Dynamic || p.Dollar && strings.Contains(p.Value, `\`)
			b.WriteString(p.Value)
		case *syntax.DblQuoted:
			for _, inner := range p.Parts {
				lit, ok := inner.(*syntax.Lit)
				if !ok {
					out.Dynamic = true
					continue
				}
				b.WriteString(unescapeQuoted(lit.Value))
			}
		default:
			out.Dynamic = true
		}
	}
	out.Text = b.String()
	return out
}

// unescape takes backslashes off a bare part of a word. It is plain when the
// shell expands nothing in it.
func unescape(s string) (text string, plain bool) {
	var b strings.Builder
	plain = true
	braces := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case '\\':
			if i++; i < len(s) && s[i] != '\n' {
				b.WriteByte(s[i])
			}
			continue
		case '*', '?', '[':
			plain = false
		case '{':
			braces = true
		case ',', '.':
			if braces && (c == ',' || i+1 < len(s) && s[i+1] == '.') {
				plain = false
			}
		}
		b.WriteByte(s[i])
	}
	return b.String(), plain
}

// unescapeQuoted takes off the backslashes that mean something in double quotes.
func unescapeQuoted(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) && strings.IndexByte("$`\"\\\n", s[i+1]) >= 0 {
			if i++; s[i] == '\n' {
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
