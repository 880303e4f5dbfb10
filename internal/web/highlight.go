package web

import (
	"path"
	"strings"
)

// language is what there is to know of a language to colour it: how comments and
// texts begin and end, and which words are its own. It is little, and enough to
// read a difference by; whoever needs a parser has an editor.
type language struct {
	comment string    // begins a comment to the end of the line
	block   [2]string // begin and end one over several lines
	quotes  string    // characters that begin and end a text in a line
	raw     string    // character that begins and ends one over several lines
	words   string    // keywords, with spaces around each
}

// languageOf is the language of a file, by its name; nil: none that is known.
func languageOf(name string) *language {
	ext := strings.TrimPrefix(path.Ext(name), ".")
	if ext == "" || path.Base(name) == "Makefile" || path.Base(name) == "Dockerfile" {
		ext = strings.ToLower(path.Base(name))
	}
	return languageNamed(ext)
}

// languageNamed is the language of an ending or a name.
func languageNamed(name string) *language {
	slashes := language{comment: "//", block: [2]string{"/*", "*/"}, quotes: `"'`}
	hash := language{comment: "#", quotes: `"'`}
	with := func(l language, raw, words string) *language {
		l.raw, l.words = raw, " "+words+" "
		return &l
	}
	switch strings.ToLower(strings.TrimSpace(name)) {
	case "go":
		return with(slashes, "`", "break case chan const continue default defer else fallthrough for func go goto if import interface map package range return select struct switch type var nil true false iota error string int int64 byte bool any")
	case "ts", "tsx", "js", "jsx", "mjs", "typescript", "javascript":
		return with(slashes, "`", "async await break case catch class const continue default delete do else export extends false finally for from function if implements import in instanceof interface let new null of private public readonly return static super switch this throw true try type typeof undefined var void while yield")
	case "java", "kt", "cs", "scala", "swift":
		return with(slashes, "", "abstract boolean break case catch class const continue default do double else enum extends final finally float for fun if implements import int interface internal let long namespace new null override package private protected public return short static struct super switch this throw throws true false try using val var void while")
	case "c", "h", "cc", "cpp", "hpp", "cxx":
		return with(slashes, "", "auto bool break case char class const constexpr continue default delete do double else enum extern false float for if inline int long namespace new nullptr private public return short signed sizeof static struct switch template this true typedef union unsigned using virtual void volatile while #include #define #if #endif #ifdef")
	case "rs", "rust":
		return with(language{comment: "//", block: [2]string{"/*", "*/"}, quotes: `"`}, "", "as async await break const continue crate else enum extern false fn for if impl in let loop match mod move mut pub ref return self Self static struct super trait true type unsafe use where while")
	case "py", "python":
		return with(hash, "", "and as assert async await break class continue def del elif else except False finally for from global if import in is lambda None nonlocal not or pass raise return self True try while with yield")
	case "rb", "ruby":
		return with(hash, "", "begin break case class def do else elsif end ensure false for if in module next nil not or require rescue return self super then true unless until when while yield")
	case "sh", "bash", "zsh", "shell", "console":
		return with(hash, "", "case do done elif else esac export fi for function if in local return set then until while")
	case "yml", "yaml", "toml", "ini", "conf", "env":
		return with(hash, "", "true false null yes no on off")
	case "makefile", "mk", "dockerfile":
		return with(hash, "", "FROM RUN COPY ADD CMD ENTRYPOINT ENV ARG WORKDIR USER EXPOSE include ifeq else endif")
	case "sql":
		return with(language{comment: "--", block: [2]string{"/*", "*/"}, quotes: `'"`}, "", "SELECT FROM WHERE INSERT INTO VALUES UPDATE SET DELETE CREATE TABLE INDEX ALTER DROP JOIN LEFT ON AND OR NOT NULL PRIMARY KEY ORDER BY GROUP LIMIT AS select from where insert into values update set delete create table join on and or not null order by group limit as")
	case "json":
		return with(language{quotes: `"`}, "", "true false null")
	case "css":
		return with(language{block: [2]string{"/*", "*/"}, quotes: `"'`}, "", "important")
	case "html", "xml", "svg", "md", "markdown", "txt":
		return nil
	}
	return nil
}

// maxLit is the longest line that is coloured, in bytes.
const maxLit = 2000

// lit colours lines that follow each other.
func lit(l *language, lines []string) []line {
	out := make([]line, len(lines))
	s := scanner{language: l}
	for i, text := range lines {
		if l == nil || len(text) > maxLit {
			out[i] = line{{"", text}}
			continue
		}
		out[i] = s.scan(text)
	}
	return out
}

// scanner colours line after line; inside is what ends the comment or text that a
// line before began.
type scanner struct {
	*language
	inside, class string
}

func (s *scanner) scan(text string) line {
	var out line
	plain := 0
	add := func(from, to int, class string) {
		if from > plain {
			out = append(out, piece{"", text[plain:from]})
		}
		out = append(out, piece{class, text[from:to]})
		plain = to
	}
	for i := 0; i < len(text); {
		end, class := s.token(text, i)
		if class != "" {
			add(i, end, class)
		}
		i = end
	}
	if plain < len(text) {
		out = append(out, piece{"", text[plain:]})
	}
	return out
}

// token is what begins at a place of a line: where it ends, and its class.
func (s *scanner) token(text string, i int) (end int, class string) {
	rest := text[i:]
	if s.inside != "" {
		return s.rest(text, i, 0)
	}
	switch c := rest[0]; {
	case s.comment != "" && strings.HasPrefix(rest, s.comment):
		return len(text), "c"
	case s.block[0] != "" && strings.HasPrefix(rest, s.block[0]):
		s.inside, s.class = s.block[1], "c"
		return s.rest(text, i, len(s.block[0]))
	case s.raw != "" && rest[:1] == s.raw:
		s.inside, s.class = s.raw, "s"
		return s.rest(text, i, 1)
	case strings.IndexByte(s.quotes, c) >= 0:
		return quoted(text, i), "s"
	case '0' <= c && c <= '9':
		return wordEnd(text, i), "n"
	case wordly(c) || c == '#':
		end := wordEnd(text, i+1)
		word := text[i:end]
		switch {
		case strings.Contains(s.words, " "+word+" "):
			return end, "k"
		case end < len(text) && text[end] == '(':
			return end, "f"
		}
		return end, ""
	}
	return i + 1, ""
}

// rest is what lasts over lines, to its end or that of the line.
func (s *scanner) rest(text string, i, skip int) (int, string) {
	class := s.class
	n := strings.Index(text[i+skip:], s.inside)
	if n < 0 {
		return len(text), class
	}
	end := i + skip + n + len(s.inside)
	s.inside = ""
	return end, class
}

// quoted is the end of a text in quotes, with escapes; of one without its end, the
// quote alone.
func quoted(text string, i int) int {
	for j := i + 1; j < len(text); j++ {
		switch text[j] {
		case '\\':
			j++
		case text[i]:
			return j + 1
		}
	}
	return i + 1
}

func wordEnd(text string, i int) int {
	for i < len(text) && (wordly(text[i]) || text[i] == '.' && i > 0 && '0' <= text[i-1] && text[i-1] <= '9') {
		i++
	}
	return i
}
