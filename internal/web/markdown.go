package web

import (
	"html/template"
	"net/url"
	"strings"

	"mgx/internal/guard"
)

// marked draws the part of Markdown that models and people use to write to each
// other: paragraphs, headings, lists, quotes, code, emphasis, and links to hosts
// where links may lead. All else, HTML and images among it, is text. It takes what
// is longer than maxMarked for plain text.
func (s *site) marked(text string) template.HTML { return marked(s.o.Links, text) }

func marked(hosts []string, text string) template.HTML {
	text = guard.Clean(text)
	m := &markup{}
	m.open("div", "prose")
	if len(text) > maxMarked {
		m.open("pre", "")
		m.text(text)
		m.close("pre")
	} else {
		p := prose{m: m, hosts: hosts, lines: strings.Split(strings.TrimRight(text, "\n"), "\n")}
		p.blocks()
	}
	m.close("div")
	return m.html()
}

// maxMarked bounds what is read as Markdown, in bytes.
const maxMarked = 64 << 10

// prose is a text as it is drawn.
type prose struct {
	m     *markup
	hosts []string
	lines []string
	at    int
}

func (p *prose) blocks() {
	for p.at < len(p.lines) {
		line := p.lines[p.at]
		trimmed := strings.TrimSpace(line)
		switch {
		case trimmed == "":
			p.at++
		case strings.HasPrefix(trimmed, "```"):
			p.fence(trimmed)
		case heading(trimmed) > 0:
			p.heading(trimmed)
		case strings.HasPrefix(trimmed, ">"):
			p.quote()
		case bullet(trimmed) > 0:
			p.list("ul", bullet)
		case numbered(trimmed) > 0:
			p.list("ol", numbered)
		default:
			p.paragraph()
		}
	}
}

// fence is code between fences, or to the end.
func (p *prose) fence(opening string) {
	language := strings.TrimLeft(opening, "`")
	var code []string
	for p.at++; p.at < len(p.lines); p.at++ {
		if strings.TrimSpace(p.lines[p.at]) == "```" {
			p.at++
			break
		}
		code = append(code, p.lines[p.at])
	}
	p.m.open("pre", "")
	p.m.open("code", "")
	for i, line := range lit(languageNamed(language), code) {
		if i > 0 {
			p.m.text("\n")
		}
		line.draw(p.m)
	}
	p.m.close("code")
	p.m.close("pre")
}

// heading is the level of a heading, or 0.
func heading(line string) int {
	n := len(line) - len(strings.TrimLeft(line, "#"))
	if n == 0 || n > 6 || !strings.HasPrefix(line[n:], " ") {
		return 0
	}
	return n
}

// heading is drawn as words that stand out: the headings of the page are its own.
func (p *prose) heading(line string) {
	p.m.open("p", "heading")
	p.m.open("strong", "")
	p.inline(strings.TrimSpace(line[heading(line):]))
	p.m.close("strong")
	p.m.close("p")
	p.at++
}

func (p *prose) quote() {
	p.m.open("blockquote", "")
	for first := true; p.at < len(p.lines); p.at++ {
		rest, quoted := strings.CutPrefix(strings.TrimSpace(p.lines[p.at]), ">")
		if !quoted {
			break
		}
		if !first {
			p.m.text("\n")
		}
		first = false
		p.inline(strings.TrimSpace(rest))
	}
	p.m.close("blockquote")
}

// bullet is how long the mark is that begins a line of a list, or 0.
func bullet(line string) int {
	if len(line) > 2 && strings.ContainsAny(line[:1], "-*+") && line[1] == ' ' {
		return 2
	}
	return 0
}

func numbered(line string) int {
	n := 0
	for n < len(line) && n < 9 && '0' <= line[n] && line[n] <= '9' {
		n++
	}
	if n == 0 || len(line) < n+3 || line[n] != '.' && line[n] != ')' || line[n+1] != ' ' {
		return 0
	}
	return n + 2
}

// list is a list and what lies deeper in it, which is drawn as further lines.
func (p *prose) list(tag string, mark func(string) int) {
	p.m.open(tag, "")
	for p.at < len(p.lines) {
		trimmed := strings.TrimSpace(p.lines[p.at])
		n := mark(trimmed)
		if n == 0 {
			break
		}
		p.at++
		p.m.open("li", "")
		p.inline(trimmed[n:])
		for p.at < len(p.lines) && strings.HasPrefix(p.lines[p.at], "  ") && strings.TrimSpace(p.lines[p.at]) != "" && mark(strings.TrimSpace(p.lines[p.at])) == 0 {
			p.m.text(" ")
			p.inline(strings.TrimSpace(p.lines[p.at]))
			p.at++
		}
		p.m.close("li")
	}
	p.m.close(tag)
}

func (p *prose) paragraph() {
	p.m.open("p", "")
	for first := true; p.at < len(p.lines); p.at++ {
		line := strings.TrimSpace(p.lines[p.at])
		if line == "" || strings.HasPrefix(line, "```") || !first && (heading(line) > 0 || strings.HasPrefix(line, ">") || bullet(line) > 0 || numbered(line) > 0) {
			break
		}
		if !first {
			p.m.text("\n")
		}
		first = false
		p.inline(line)
	}
	p.m.close("p")
}

// inline draws the words of a line. A mark without its end is text.
func (p *prose) inline(s string) {
	for s != "" {
		i := strings.IndexAny(s, "`*_[!")
		if i < 0 {
			p.m.text(s)
			return
		}
		p.m.text(s[:i])
		n := p.marked(s[i:], i > 0 && wordly(s[i-1]))
		if n == 0 {
			n = 1
			p.m.text(s[i : i+1])
		}
		s = s[i+n:]
	}
}

func wordly(c byte) bool {
	return c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// marked draws what begins with a mark and returns how long it is; 0: it is none.
func (p *prose) marked(s string, inWord bool) int {
	for _, pair := range []struct{ mark, tag string }{{"`", "code"}, {"**", "strong"}, {"__", "strong"}, {"*", "em"}, {"_", "em"}} {
		rest, begins := strings.CutPrefix(s, pair.mark)
		if !begins {
			continue
		}
		end := strings.Index(rest, pair.mark)
		if end <= 0 || pair.tag != "code" && (inWord || rest[0] == ' ' || rest[end-1] == ' ') {
			continue
		}
		p.m.open(pair.tag, "")
		p.m.text(rest[:end])
		p.m.close(pair.tag)
		return end + 2*len(pair.mark)
	}
	image := strings.HasPrefix(s, "![")
	words, address, n := linkOf(strings.TrimPrefix(s, "!"))
	if n == 0 || image != strings.HasPrefix(s, "!") {
		return 0
	}
	if image {
		n++
	}
	if !image && mayFollow(address, p.hosts) {
		p.m.link(address, words)
		return n
	}
	p.m.text(s[:n])
	return n
}

// maxLink is the longest link, in bytes.
const maxLink = 2000

// linkOf reads [words](address).
func linkOf(s string) (words, address string, n int) {
	if !strings.HasPrefix(s, "[") {
		return "", "", 0
	}
	s = s[:min(len(s), maxLink)]
	middle := strings.Index(s, "](")
	if middle < 0 {
		return "", "", 0
	}
	end := strings.IndexByte(s[middle:], ')')
	if end < 0 {
		return "", "", 0
	}
	return s[1:middle], s[middle+2 : middle+end], middle + end + 1
}

// mayFollow reports whether a link may lead to an address: over HTTP, to a host
// that is allowed, as the rule is that keeps addresses from models.
func mayFollow(address string, hosts []string) bool {
	u, err := url.Parse(address)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.User == nil && u.Host != "" && guard.Links(address, hosts) == address
}
