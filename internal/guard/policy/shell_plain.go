package policy

import (
	"reflect"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"mvdan.cc/sh/v3/syntax"
)

// What bash evaluates may run a command where none is to be seen: as a number, 'a[$(x)]'
// runs x, wherever the text came from. So whatever is evaluated must be plain.

var (
	digits     = regexp.MustCompile(`^[0-9]+$`)
	number     = regexp.MustCompile(`^[0-9][0-9A-Za-z#]*$`)
	local      = regexp.MustCompile(`^[a-z_][a-z0-9_]*$`)
	identifier = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	counting   = regexp.MustCompile(`%[^A-Za-z%]*[hjlLtz]*n`) // what printf sets a variable by
	copied     = regexp.MustCompile(`^[0-9A-Za-z_./-]+$`)
	// evaluated are variables of bash's own that it evaluates when they are set, or later.
	evaluated = regexp.MustCompile(`^(RANDOM|SRANDOM|SECONDS|LINENO|OPTIND|HIST.*|EPOCH.*|E?UID|PPID|PS[0-9]|PROMPT_COMMAND|BASH.*)$`)
)

var redirects = []syntax.RedirOperator{
	syntax.RdrOut, syntax.AppOut, syntax.RdrIn, syntax.RdrInOut, syntax.DplIn, syntax.DplOut, syntax.RdrClob,
	syntax.Hdoc, syntax.DashHdoc, syntax.WordHdoc, syntax.RdrAll, syntax.AppAll,
}

// plainText reports whether a line has none of the signs after which bash and our parser
// part ways: control characters, as in a backslash before CR LF; a line that is continued
// in a comment or a here-document; a here-document within backquotes, or with another end
// than can be told. In the text of one whose end is quoted backslashes and backquotes mean
// nothing.
func plainText(line string, file *syntax.File) bool {
	plain := utf8.ValidString(line) && !strings.ContainsFunc(line, func(r rune) bool { return r != '\t' && r != '\n' && unicode.IsControl(r) })
	var rest strings.Builder // without such texts
	from := 0
	syntax.Walk(file, func(n syntax.Node) bool {
		r, is := n.(*syntax.Redirect)
		if !is || r.Op != syntax.Hdoc && r.Op != syntax.DashHdoc {
			return true
		}
		after := line[min(len(line), int(r.Word.End().Offset())):]
		plain = plain && (after == "" || strings.IndexByte(" \t\n;&|)<>", after[0]) >= 0) // its end goes on: 'E'#
		if r.Hdoc == nil || len(r.Hdoc.Parts) == 0 {
			return true
		}
		begin, end := int(r.Hdoc.Pos().Offset()), int(r.Hdoc.End().Offset())
		if begin > end || end > len(line) {
			plain = false
			return true
		}
		end = begin + strings.LastIndexByte(line[begin:end], '\n') + 1 // without the line that ends it
		// In $(…), bash takes the beginning of a line for the end.
		for l := range strings.Lines(line[begin:end]) {
			plain = plain && !strings.HasPrefix(strings.TrimLeft(l, "\t"), word(r.Word).Text)
		}
		if _, quoted := r.Word.Parts[0].(*syntax.SglQuoted); quoted && r.Op == syntax.Hdoc && from <= begin {
			rest.WriteString(line[from:begin])
			from = end
		}
		return true
	})
	rest.WriteString(line[from:])
	has := func(s string) bool { return strings.Contains(rest.String(), s) }
	return plain && !(has("\\\n") && (has("#") || has("<<") || has("`"))) && !(has("<<") && has("`"))
}

// plainCopy reports whether what a descriptor becomes a copy of, if it does, is named
// plainly: bash expands that word twice, the second time without its quotes.
func plainCopy(n *syntax.Redirect) bool {
	w := word(n.Word)
	return n.Op != syntax.DplIn && n.Op != syntax.DplOut || !w.Dynamic && copied.MatchString(w.Text)
}

// plainIndex is plainNumber of what may be missing.
func plainIndex(x syntax.ArithmExpr) bool { return x == nil || plainNumber(x) }

// plainNumber reports whether arithmetic has only digits and operators that set nothing.
func plainNumber(x syntax.ArithmExpr) bool {
	switch x := x.(type) {
	case *syntax.Word:
		return number.MatchString(x.Lit())
	case *syntax.ParenArithm:
		return plainNumber(x.X)
	case *syntax.UnaryArithm:
		return x.Op != syntax.Inc && x.Op != syntax.Dec && plainNumber(x.X)
	case *syntax.BinaryArithm:
		return plainNumber(x.X) && plainNumber(x.Y)
	}
	return false
}

// plainParam reports whether an expansion only reads a variable and changes its text. In
// double quotes or here-documents, single ones within it quote nothing.
func plainParam(n *syntax.ParamExp) bool {
	quotes := false
	syntax.Walk(n, func(n syntax.Node) bool {
		_, quoted := n.(*syntax.SglQuoted)
		quotes = quotes || quoted
		return true
	})
	if quotes || arrows(n) {
		return false
	}
	if w, ok := n.Index.(*syntax.Word); n.Param == nil || !(ok && (w.Lit() == "@" || w.Lit() == "*")) && !plainIndex(n.Index) {
		return false
	}
	if n.Slice != nil && !(plainIndex(n.Slice.Offset) && plainIndex(n.Slice.Length)) {
		return false
	}
	if n.Exp != nil && slices.Contains([]syntax.ParExpOperator{syntax.AssignUnset, syntax.AssignUnsetOrNull, syntax.OtherParamOps}, n.Exp.Op) {
		return false
	}
	rest := *n
	rest.Dollar, rest.Rbrace, rest.Short, rest.Length = syntax.Pos{}, syntax.Pos{}, false, false
	rest.Param, rest.Index, rest.Slice, rest.Repl, rest.Exp = nil, nil, nil, nil, nil
	return reflect.ValueOf(rest).IsZero()
}

// arrows reports whether a bare text has < or > in it: in places where our parser takes
// <(x) for such, bash runs x.
func arrows(n syntax.Node) (found bool) {
	syntax.Walk(n, func(n syntax.Node) bool {
		lit, is := n.(*syntax.Lit)
		found = found || is && strings.ContainsAny(lit.Value, "<>")
		return true
	})
	return found
}

// strayBody reports whether a here-document in a substitution has its text after the
// end of that: shells differ in whether it is its text.
func strayBody(n syntax.Node) (stray bool) {
	syntax.Walk(n, func(inner syntax.Node) bool {
		r, is := inner.(*syntax.Redirect)
		stray = stray || is && (r.Op == syntax.Hdoc || r.Op == syntax.DashHdoc) && r.Pos().Line() == n.End().Line()
		return true
	})
	return stray
}

// plainDecl reports whether a declaration gives names values as they are written. To an
// array, a text in brackets is more than that.
func plainDecl(n *syntax.DeclClause) bool {
	for _, a := range n.Args {
		w := Word{}
		if a.Value != nil {
			w = word(a.Value)
		}
		switch {
		case a.Name == nil:
			if w.Dynamic || w.Text != "-r" && w.Text != "-x" {
				return false
			}
		case a.Index != nil || a.Array != nil, n.Variant.Value != "export" && (w.Dynamic || strings.HasPrefix(w.Text, "(")):
			return false
		}
	}
	return slices.Contains([]string{"export", "readonly", "local", "declare", "typeset"}, n.Variant.Value)
}

// Operators of tests that look at files and texts.
var (
	unaryTests  = strings.Fields("-b -c -d -e -f -g -h -k -n -p -r -s -t -u -w -x -z -G -L -N -O -S")
	binaryTests = strings.Fields("= == != < > =~ -nt -ot -ef && ||")
	numberTests = strings.Fields("-eq -ne -lt -le -gt -ge")
)

// plainBinary reports whether [[ compares texts, or plain numbers.
func plainBinary(n *syntax.BinaryTest) bool {
	plain := func(x syntax.TestExpr) bool {
		w, ok := x.(*syntax.Word)
		return ok && digits.MatchString(w.Lit())
	}
	if n.Op == syntax.TsReMatch && arrows(n.Y) {
		return false
	}
	return slices.Contains(binaryTests, n.Op.String()) || slices.Contains(numberTests, n.Op.String()) && plain(n.X) && plain(n.Y)
}

// builtins are the commands of bash itself.
var builtins = strings.Fields(`. : [ alias bg bind break builtin caller cd command compgen complete compopt continue declare dirs disown
	echo enable eval exec exit export false fc fg getopts hash help history jobs kill let local logout mapfile popd printf pushd pwd
	read readarray readonly return set shift shopt source suspend test times trap true type typeset ulimit umask unalias unset wait`)

// plainBuiltin reports whether a command of bash's own evaluates none of its words.
func plainBuiltin(name string, words []Word) bool {
	known := func(ok func(string) bool) bool {
		return !slices.ContainsFunc(words, func(w Word) bool { return w.Dynamic || !ok(w.Text) })
	}
	switch name {
	case ":", "bg", "break", "cd", "continue", "dirs", "disown", "echo", "exit", "false", "fg", "help", "kill", "popd", "pushd", "pwd",
		"return", "shift", "times", "true", "type", "ulimit", "umask":
		return true
	case "[":
		n := len(words)
		return n > 0 && words[n-1] == Word{Text: "]", One: true} && plainTest(words[:n-1])
	case "test":
		return plainTest(words)
	case "printf":
		return len(words) == 0 || !words[0].Dynamic && !strings.HasPrefix(words[0].Text, "-") && !counting.MatchString(words[0].Text)
	case "read":
		return known(func(s string) bool { return s == "-r" || local.MatchString(s) })
	case "unset":
		return known(func(s string) bool { return s == "-f" || s == "-v" || identifier.MatchString(s) && s != "PATH" }) // without it, programs are looked for here
	case "jobs":
		return known(func(s string) bool { return !strings.HasPrefix(s, "-") || !strings.Contains(s, "x") }) // -x runs a program
	case "wait":
		return known(func(s string) bool { return !strings.HasPrefix(s, "-") })
	case "set":
		return known(func(s string) bool {
			return s == "pipefail" || len(s) > 1 && strings.ContainsAny(s[:1], "-+") && strings.Trim(s[1:], "euovx") == ""
		})
	case "shopt":
		return known(func(s string) bool {
			return slices.Contains([]string{"-s", "-u", "nullglob", "globstar", "dotglob", "failglob"}, s)
		})
	}
	return false
}

// plainTest reports whether test asks about files and texts. What its words mean hangs
// on how many they are.
func plainTest(words []Word) bool {
	is := func(i int, ops ...string) bool { return !words[i].Dynamic && slices.Contains(ops, words[i].Text) }
	switch {
	case slices.ContainsFunc(words, func(w Word) bool { return !w.One }):
		return false
	case len(words) < 2:
		return true
	case len(words) < 5 && is(0, "!"):
		return plainTest(words[1:])
	case len(words) == 2:
		return is(0, unaryTests...)
	case len(words) == 3:
		return is(1, binaryTests...) || is(1, numberTests...)
	}
	return !slices.ContainsFunc(words, func(w Word) bool { return w.Dynamic || w.Text == "-v" || w.Text == "-R" })
}

// stays reports whether parts of a word stay one word, whatever they become.
func stays(parts []syntax.WordPart) bool {
	for _, part := range parts {
		switch p := part.(type) {
		case *syntax.Lit:
			if _, plain := unescape(p.Value); !plain {
				return false
			}
		case *syntax.SglQuoted:
		case *syntax.DblQuoted:
			for _, inner := range p.Parts {
				if e, ok := inner.(*syntax.ParamExp); ok && (e.Param == nil || e.Param.Value == "@" || e.Excl || e.Index != nil || e.Exp != nil || e.Slice != nil || e.Repl != nil) {
					return false
				}
			}
		default:
			return false
		}
	}
	return true
}

// AnyShell reports whether a line reads the same in every shell: as bash reads it, and as
// one that knows no more than POSIX.
func AnyShell(line string) bool {
	parse := func(lang syntax.LangVariant) (*syntax.File, error) {
		return syntax.NewParser(syntax.Variant(lang)).Parse(strings.NewReader(line), "")
	}
	if len(line) > maxShell || deep(line) > maxDeep {
		return false
	}
	bash, err := parse(syntax.LangBash)
	if err != nil {
		return false
	}
	posix, err := parse(syntax.LangPOSIX)
	if err != nil {
		return false
	}
	undeclared(bash)
	undeclared(posix)
	return reflect.DeepEqual(bash, posix)
}

// undeclared takes out declarations of plain values. To bash they are syntax, elsewhere
// commands, and they do the same.
func undeclared(file *syntax.File) {
	syntax.Walk(file, func(n syntax.Node) bool {
		s, ok := n.(*syntax.Stmt)
		if !ok {
			return true
		}
		switch c := s.Cmd.(type) {
		case *syntax.DeclClause:
			static := !slices.ContainsFunc(assigned(c.Args), func(w Word) bool { return w.Dynamic })
			if static && slices.Contains([]string{"export", "readonly"}, c.Variant.Value) {
				s.Cmd = nil
			}
		case *syntax.CallExpr:
			if len(c.Assigns) == 0 && slices.Contains([]string{"export", "readonly"}, c.Args[0].Lit()) {
				s.Cmd = nil
			}
		}
		return true
	})
}
