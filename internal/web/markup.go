package web

import (
	"html/template"
	"strings"
)

// markup makes pieces of pages that hold words of others: whatever is written with
// text is text. Tags and classes are constants of this package, so nothing that
// somebody else wrote becomes one; the address of a link has passed [mayFollow].
type markup struct{ b strings.Builder }

func (m *markup) text(s string) { template.HTMLEscape(&m.b, []byte(s)) }

func (m *markup) open(tag, class string) {
	m.b.WriteByte('<')
	m.b.WriteString(tag)
	if class != "" {
		m.b.WriteString(` class="`)
		m.text(class)
		m.b.WriteByte('"')
	}
	m.b.WriteByte('>')
}

func (m *markup) close(tag string) {
	m.b.WriteString("</")
	m.b.WriteString(tag)
	m.b.WriteByte('>')
}

// span is a text of a class; without one it is only the text.
func (m *markup) span(class, s string) {
	if class == "" || s == "" {
		m.text(s)
		return
	}
	m.open("span", class)
	m.text(s)
	m.close("span")
}

// link is a text that leads outside. Whoever it leads to does not learn from where.
func (m *markup) link(address, s string) {
	m.b.WriteString(`<a rel="noopener noreferrer nofollow ugc" target="_blank" href="`)
	m.text(address)
	m.b.WriteString(`">`)
	m.text(s)
	m.close("a")
}

func (m *markup) html() template.HTML { return template.HTML(m.b.String()) }
