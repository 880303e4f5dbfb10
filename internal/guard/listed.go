package guard

import (
	"strconv"
	"unicode/utf8"
)

// spaced has the characters of a text that stand apart: s e c r e t.
func spaced(s string) *view {
	return listed(s, &words, utf8.UTFMax, true, func(word string) (string, bool) {
		_, n := utf8.DecodeRuneInString(word)
		return word, n == len(word) || !utf8.FullRuneInString(word)
	})
}

// decimals has the bytes that a text lists as numbers: 115, 101, 99.
func decimals(s string) *view {
	return listed(s, &numbers, len("255"), false, func(word string) (string, bool) {
		n, err := strconv.ParseUint(word, 10, 8)
		return string([]byte{byte(n)}), err == nil
	})
}

// kinds are what the bytes of a text are to a list.
type kinds [256]byte

const (
	gap = iota + 1
	inWord
)

var words, numbers = func() (words, numbers kinds) {
	for c := range words {
		words[c] = inWord
	}
	for _, c := range []byte(" \t\r\n,") {
		words[c], numbers[c] = gap, gap
	}
	words[','] = inWord
	for c := '0'; c <= '9'; c++ {
		numbers[c] = inWord
	}
	return words, numbers
}()

// listed has what words of a text mean, of some bytes at most, where many follow each
// other with a little that separates between them and nothing else. With joined, that may
// have other text right before it, and right behind it, as in "s e c r e t".
func listed(s string, of *kinds, longest int, joined bool, meaning func(word string) (string, bool)) *view {
	l := list{begun: len(s)}
	before := 0 // where the word before this one ends
	for i := 0; i < len(s); {
		if kind := of[s[i]]; kind != inWord {
			if kind != gap && len(l.run) > 0 {
				l.end(MinSecret)
			}
			i++
			continue
		}
		end := i + 1
		for end < len(s) && of[s[end]] == inWord {
			end++
		}
		char, ok := "", false
		if end-i <= longest {
			char, ok = meaning(s[i:end])
		}
		switch {
		case ok:
			if joined && len(l.run) == 0 && before > 0 {
				l.add(s[before-1:before], span{before - 1, before})
			}
			if l.add(char, span{i, end}); end == len(s) { // it may go on
				l.begun, l.open = i, len(char)
			}
		case len(l.run) > 0:
			if joined {
				l.add(s[i:i+1], span{i, i + 1})
			}
			l.end(MinSecret)
		}
		i, before = end, end
	}
	if joined && len(l.run) == 0 && before > 0 {
		l.add(s[before-1:before], span{before - 1, before})
	}
	if n := len(l.run); n > 0 && l.run[n-1].end+mostBetween >= len(s) { // more may come
		l.end(1)
	}
	l.end(MinSecret)
	if len(l.text) == 0 {
		return nil
	}
	return &view{text: string(l.text), turns: l.turns, ends: l.ends, begun: l.begun, open: l.open}
}

// list is what was found so far.
type list struct {
	text  []byte
	turns []turn
	ends  []int
	begun int // as of a view
	open  int

	run   []span // of the words that now follow each other
	chars []byte // that they mean
	from  []int  // where those of each word begin
}

func (l *list) add(char string, at span) {
	if n := len(l.run); n > 0 && at.start-l.run[n-1].end > mostBetween {
		l.end(MinSecret)
	}
	l.run, l.from = append(l.run, at), append(l.from, len(l.chars))
	l.chars = append(l.chars, char...)
}

// end takes the run, if it is long enough.
func (l *list) end(least int) {
	if len(l.run) >= least {
		if len(l.text) > 0 { // another run
			l.turns, l.ends = append(l.turns, turn{len(l.text), l.run[0].start}), append(l.ends, l.run[0].start)
			l.text = append(l.text, '\n')
		}
		for i, at := range l.run {
			l.turns, l.ends = append(l.turns, turn{len(l.text) + l.from[i], at.start}), append(l.ends, at.end)
		}
		l.text = append(l.text, l.chars...)
	}
	l.run, l.chars, l.from = l.run[:0], l.chars[:0], l.from[:0]
}
