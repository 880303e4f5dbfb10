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

	heard [][]Word // tokens of what the line itself gives commands to read that are not quiet
}

// Command is a simple command: its assignments, if any, and its words. Where a
// line writes to or reads from a file, or sets a variable, that is a command of
// its own: "> FILE", "< FILE", "NAME=VALUE".
type Command struct {
	Words []Word
	// Bare is where the command proper begins, after assignments.
	Bare int
	// Declares: its words after the first set variables, as those of export do.
	Declares bool
	// Wraps: it runs what its words say, as sudo does.
	Wraps bool
	// Quiet: it runs nothing else, whatever its words say.
	Quiet bool

	said []Word // tokens of what it may run
}

// Word is one word of a command. A dynamic one is known only when it runs, and may
// become several or none, unless it is surely one.
type Word struct {
	Text    string
	Dynamic bool
	One     bool
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

type shellReader struct {
	shape Shape
	given string // to the command that comes next
}

func (r *shellReader) unknown(why string) { r.shape.Unknown = cmp.Or(r.shape.Unknown, why) }

func (r *shellReader) add(c Command) {
	if len(r.shape.Commands) >= maxCommands {
		r.unknown("it has too many commands")
		return
	}
	c.said = tokens(c.Words)
	if proper := c.Words[c.Bare:]; len(proper) > 0 && strings.HasSuffix(path.Base(proper[0].Text), "sed") {
		c.said = append(c.said, substituted(proper[1:])...)
	}
	if c.Quiet {
		c.said = tokens(c.Words[:c.Bare])
	}
	r.shape.Commands = append(r.shape.Commands, c)
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
	if !plainText(text, file) {
		r.unknown("it has signs that shells read in different ways")
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

// node reads one node of a line. Whatever is not listed as harmless, because it is of
// another kind or has something to it that is not looked at, makes the line unknown.
func (r *shellReader) node(n syntax.Node, depth int) {
	known := false
	switch n := n.(type) {
	case nil, *syntax.File, *syntax.Comment, *syntax.BinaryCmd, *syntax.Block, *syntax.Subshell, *syntax.IfClause, *syntax.WhileClause,
		*syntax.ForClause, *syntax.CaseItem, *syntax.TimeClause, *syntax.Word, *syntax.Lit, *syntax.SglQuoted,
		*syntax.TestClause, *syntax.ParenTest, *syntax.ArrayExpr,
		*syntax.BinaryArithm, *syntax.UnaryArithm, *syntax.ParenArithm: // looked at with what holds them
		known = true
	case *syntax.Stmt:
		known = !n.Coprocess && !n.Disown
		r.hears(n)
	case *syntax.FuncDecl:
		known = n.Name != nil && len(n.Names) == 0 && !runsNothing(n.Name.Value)
	case *syntax.CaseClause:
		known = !n.Braces
	case *syntax.CmdSubst:
		known = !n.TempFile && !n.ReplyVar && !strayBody(n)
	case *syntax.ProcSubst:
		known = !strayBody(n)
	case *syntax.DblQuoted:
		known = !n.Dollar
	case *syntax.CallExpr:
		known = true
		r.call(n, depth)
	case *syntax.DeclClause:
		known = plainDecl(n)
		r.add(Command{Words: append([]Word{{Text: n.Variant.Value}}, assigned(n.Args)...), Declares: true})
	case *syntax.Assign:
		known = plainIndex(n.Index) && (n.Name == nil || !evaluated.MatchString(n.Name.Value))
	case *syntax.ArrayElem:
		known = plainIndex(n.Index)
	case *syntax.Redirect:
		known = (n.N == nil || digits.MatchString(n.N.Value)) && slices.Contains(redirects, n.Op) && plainCopy(n)
		r.redirect(n)
	case *syntax.WordIter:
		known = n.Name != nil && n.Name.Value != strings.ToUpper(n.Name.Value) // programs read no such variable
	case *syntax.ArithmCmd:
		known = !n.Unsigned && plainNumber(n.X)
		r.add(Command{Words: []Word{{Text: "(("}}, Quiet: true})
	case *syntax.LetClause:
		known = !slices.ContainsFunc(n.Exprs, func(x syntax.ArithmExpr) bool { return !plainNumber(x) })
		r.add(Command{Words: []Word{{Text: "(("}}, Quiet: true})
	case *syntax.CStyleLoop:
		known = plainIndex(n.Init) && plainIndex(n.Cond) && plainIndex(n.Post)
		r.add(Command{Words: []Word{{Text: "(("}}, Quiet: true})
	case *syntax.ArithmExp:
		known = !n.Unsigned && plainNumber(n.X)
	case *syntax.ParamExp:
		known = plainParam(n)
	case *syntax.BinaryTest:
		known = plainBinary(n)
	case *syntax.UnaryTest:
		known = slices.Contains(unaryTests, n.Op.String()) || n.Op == syntax.TsNot
	}
	if !known {
		r.unknown("it has a form of shell that may set or run something unseen")
	}
}

// hears notes what a statement gives its commands to read.
func (r *shellReader) hears(s *syntax.Stmt) {
	var given strings.Builder
	for _, redirect := range s.Redirs {
		if redirect.Hdoc != nil {
			given.WriteString(" " + word(redirect.Hdoc).Text)
		}
		if redirect.Op == syntax.WordHdoc {
			given.WriteString(" " + word(redirect.Word).Text)
		}
	}
	if r.given = given.String(); r.given == "" {
		return
	}
	if _, simple := s.Cmd.(*syntax.CallExpr); !simple {
		r.hear()
	}
}

func (r *shellReader) hear() {
	if r.given != "" {
		r.shape.heard = append(r.shape.heard, tokens([]Word{{Text: r.given}}))
	}
	r.given = ""
}

func (r *shellReader) call(n *syntax.CallExpr, depth int) {
	words := assigned(n.Assigns)
	bare := len(words)
	for _, a := range n.Args {
		words = append(words, word(a))
	}
	c := Command{Words: words, Bare: bare}
	proper := words[bare:]
	if len(proper) == 0 {
		r.sets(words)
		return
	}
	name := path.Base(proper[0].Text)
	through := slices.Contains(wrappers, name) || name == "find" && finds(proper) || name == "git" && gitRuns(proper)
	switch {
	case proper[0].Dynamic:
		r.unknown("which program it runs is known only when it runs")
	case slices.Contains(shells, name) && readable(proper):
		r.hear()
		r.sets(words[:bare])
		if name != "bash" && !AnyShell(proper[2].Text) {
			r.unknown(name + " may read it in another way than bash does")
		}
		r.read(proper[2].Text, depth+1)
		return
	case slices.Contains(shells, name):
		through = len(proper) == 1 || slices.ContainsFunc(proper[1:], func(w Word) bool { return w.Dynamic || strings.HasPrefix(w.Text, "-") })
	case name == "eval":
		r.read(joined(proper[1:]), depth+1)
	case name == proper[0].Text && slices.Contains(builtins, name):
		if c.Quiet = plainBuiltin(name, proper[1:]); !c.Quiet {
			r.unknown(name + " may set or run something unseen")
		}
	case ofSystem(proper[0]):
		c.Quiet = slices.Contains(quiet, name) || name == "git" && quietGit(proper)
	}
	if through {
		r.unknown(name + " runs other programs")
		for _, w := range proper[1:] { // any of them may be a line of shell
			if strings.ContainsAny(w.Text, " \t\n;&|") {
				r.read(w.Text, depth+1)
			}
		}
	}
	c.Wraps = through || slices.Contains(interpreters, name)
	if r.add(c); !c.Quiet {
		r.hear()
	}
}

// sets adds assignments, each as a command of its own.
func (r *shellReader) sets(words []Word) {
	for _, w := range words {
		r.add(Command{Words: []Word{w}, Bare: 1})
	}
}

// readable reports whether a shell of the system runs one line that is known.
func readable(words []Word) bool {
	return len(words) == 3 && words[1].Text == "-c" && !words[1].Dynamic && !words[2].Dynamic &&
		ofSystem(words[0]) && slices.Contains([]string{"bash", "sh", "dash", "ash"}, path.Base(words[0].Text))
}

// ofSystem reports whether a program is looked for where no repository puts one.
func ofSystem(w Word) bool {
	dir, _ := path.Split(w.Text)
	return slices.Contains([]string{"", "/bin/", "/usr/bin/"}, dir)
}

// wrappers run programs that their words name, or text that they are given.
var wrappers = []string{
	".", "busybox", "builtin", "choom", "chronic", "chroot", "chrt", "command", "coreutils", "doas", "env", "eval", "exec", "fakeroot", "flock",
	"i386", "ionice", "linux32", "linux64", "ltrace", "nice", "nohup", "nsenter", "numactl", "parallel", "pkexec", "prlimit", "run-parts", "runcon",
	"runuser", "script", "setarch", "setpriv", "setsid", "sg", "source", "start-stop-daemon", "stdbuf", "strace", "su", "sudo", "systemd-run",
	"taskset", "time", "timeout", "toybox", "trap", "uclampset", "uname26", "unbuffer", "unshare", "watch", "x86_64", "xargs", "alias", "enable",
	"hash", "mapfile", "readarray",
}

// interpreters run text that may hold the words of a command. To forbid, their
// words are looked through; to allow, they are programs like others.
var interpreters = []string{"awk", "gawk", "mawk", "perl", "python", "python3", "ruby", "node", "lua", "php", "ssh", "expect", "tclsh"}

var shells = []string{"sh", "bash", "dash", "zsh", "ksh", "ash", "mksh", "fish"}

// quiet programs run nothing else, whatever their words say.
var quiet = []string{
	"basename", "cat", "chmod", "cmp", "cp", "cut", "date", "df", "diff", "dirname", "du", "egrep", "fgrep", "grep", "head", "ln", "ls",
	"mkdir", "mv", "rm", "rmdir", "seq", "sleep", "stat", "tail", "tee", "touch", "tr", "uniq", "wc", "which",
}

// runsNothing reports whether a name is taken for that of a command which runs nothing
// that its words say.
func runsNothing(name string) bool {
	return name == "git" || slices.Contains(quiet, name) || slices.Contains(builtins, name)
}

// finds reports whether a find command names a program to run.
func finds(words []Word) bool {
	return slices.ContainsFunc(words[1:], func(w Word) bool {
		return w.Dynamic || slices.Contains([]string{"-exec", "-execdir", "-ok", "-okdir"}, w.Text)
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
	r.add(Command{Words: []Word{{Text: sign}, w}, Quiet: true})
}

// word takes the quotes off a word. What the shell would still change makes it
// dynamic.
func word(w *syntax.Word) Word {
	if w.Lit() == "[" { // a command, and no pattern
		return Word{Text: "[", One: true}
	}
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
	out.One = !out.Dynamic || stays(w.Parts)
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
