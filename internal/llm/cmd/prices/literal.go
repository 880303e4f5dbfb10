package main

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// literal reads the value of a JavaScript literal: objects, arrays, strings,
// numbers and !0 or !1, as a bundler writes them. It evaluates nothing.
type literal struct {
	text string
	at   int
}

var (
	number     = regexp.MustCompile(`^-?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?`)
	identifier = regexp.MustCompile(`^[A-Za-z_$][\w$]*`)
)

func (l *literal) value() (any, error) {
	switch rest := l.rest(); {
	case strings.HasPrefix(rest, "{"):
		return l.object()
	case strings.HasPrefix(rest, "["):
		return l.array()
	case strings.HasPrefix(rest, `"`), strings.HasPrefix(rest, "'"), strings.HasPrefix(rest, "`"):
		return l.quoted()
	case strings.HasPrefix(rest, "!0"), strings.HasPrefix(rest, "!1"):
		l.at += 2
		return rest[1] == '0', nil
	default:
		n := number.FindString(rest)
		l.at += len(n)
		f, err := strconv.ParseFloat(n, 64)
		if err != nil {
			return nil, l.unexpected()
		}
		return f, nil
	}
}

func (l *literal) rest() string {
	for l.at < len(l.text) && strings.ContainsRune(" \t\r\n", rune(l.text[l.at])) {
		l.at++
	}
	return l.text[l.at:]
}

// take passes over a piece of syntax and reports whether it was there.
func (l *literal) take(s string) bool {
	if !strings.HasPrefix(l.rest(), s) {
		return false
	}
	l.at += len(s)
	return true
}

func (l *literal) unexpected() error {
	return fmt.Errorf("unexpected %.20q at byte %d", l.text[l.at:], l.at)
}

func (l *literal) array() (any, error) {
	list := []any{}
	for l.take("["); !l.take("]"); l.take(",") {
		v, err := l.value()
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, nil
}

func (l *literal) object() (any, error) {
	fields := map[string]any{}
	for l.take("{"); !l.take("}"); l.take(",") {
		name, err := l.name()
		if err != nil {
			return nil, err
		}
		if !l.take(":") {
			return nil, l.unexpected()
		}
		if fields[name], err = l.value(); err != nil {
			return nil, err
		}
	}
	return fields, nil
}

func (l *literal) name() (string, error) {
	if name := identifier.FindString(l.rest()); name != "" {
		l.at += len(name)
		return name, nil
	}
	return l.quoted()
}

// quoted reads a string. Of escapes it knows those that keep a sign as it is and
// the usual letters; any other is an error.
func (l *literal) quoted() (string, error) {
	rest := l.rest()
	if rest == "" || !strings.ContainsRune("\"'`", rune(rest[0])) {
		return "", l.unexpected()
	}
	var b strings.Builder
	for i := 1; i < len(rest); i++ {
		switch c := rest[i]; {
		case c == rest[0]:
			l.at += i + 1
			return b.String(), nil
		case c == '$' && rest[0] == '`' && strings.HasPrefix(rest[i:], "${"):
			return "", fmt.Errorf("a template with a value at byte %d", l.at+i)
		case c != '\\':
			b.WriteByte(c)
		case i+1 < len(rest):
			i++
			letters := map[byte]byte{'n': '\n', 't': '\t', 'r': '\r'}
			if to, ok := letters[rest[i]]; ok {
				b.WriteByte(to)
			} else if strings.IndexByte("0123456789bfvux", rest[i]) >= 0 {
				return "", fmt.Errorf("an escape \\%c at byte %d", rest[i], l.at+i)
			} else {
				b.WriteByte(rest[i])
			}
		}
	}
	return "", fmt.Errorf("a string without end at byte %d", l.at)
}
