package store

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"unicode"

	"mgx"
)

// Bounds on what is kept of the words of a text, and of each.
const (
	maxWordsOf  = 2000
	maxWordsLen = 64 << 10 // bytes, of all words of a text
	maxWordLen  = 64       // runes; what is longer is found by its beginning
)

// wordsOf are the words of texts, each once, in the order in which they come: letters
// and digits as they are in either case. What is written without spaces has each sign
// as a word. Both databases find what these say, so that they find the same.
func wordsOf(texts ...string) []string {
	w := words{seen: map[string]bool{}}
	for _, text := range texts {
		w.read(text)
	}
	return w.all
}

// indexWords are the words by which texts are found: theirs, and what follows within a
// name as programs have them, so that "request" finds "parseRequest".
func indexWords(texts ...string) []string {
	w := words{seen: map[string]bool{}, humps: true}
	for _, text := range texts {
		w.read(text)
	}
	return w.all
}

type words struct {
	all   []string
	seen  map[string]bool
	size  int
	humps bool
}

func (w *words) read(text string) {
	var word []rune
	end := func() {
		if len(word) > 0 {
			w.add(word)
		}
		word = word[:0]
	}
	for _, r := range text {
		switch {
		case !unicode.In(r, unicode.L, unicode.N, unicode.M):
			end()
		case unicode.In(r, unspaced...):
			end()
			w.add([]rune{r})
		case len(word) < maxWordLen: // what follows is left out
			word = append(word, r)
		}
	}
	end()
}

// unspaced are the scripts that are written without spaces.
var unspaced = []*unicode.RangeTable{unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar}

func (w *words) add(word []rune) {
	w.one(word)
	for i := 1; w.humps && i < len(word); i++ {
		if unicode.IsUpper(word[i]) && (unicode.IsLower(word[i-1]) || i+1 < len(word) && unicode.IsLower(word[i+1])) {
			w.one(word[i:])
		}
	}
}

func (w *words) one(word []rune) {
	s := folded(word)
	if w.seen[s] || len(w.all) == maxWordsOf || w.size+len(s) > maxWordsLen {
		return
	}
	w.seen[s], w.size, w.all = true, w.size+len(s), append(w.all, s)
}

// folded takes letters that differ only in case, also those of "ſ" and "K", as one.
func folded(word []rune) string {
	var b strings.Builder
	for _, r := range word {
		least := r
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			least = min(least, f)
		}
		b.WriteRune(unicode.ToLower(least))
	}
	return b.String()
}

// workspaceMark is the first word of all texts of a workspace. It has what no other
// word has.
func workspaceMark(ws mgx.WorkspaceID) string {
	sum := sha256.Sum256([]byte(ws))
	return "_" + hex.EncodeToString(sum[:8])
}

// keptWords is how the words of a task are kept: between spaces, by which one is found by its beginning also without an index.
func keptWords(ws mgx.WorkspaceID, t mgx.TaskInfo) string {
	return " " + workspaceMark(ws) + " " + strings.Join(append(indexWords(t.Title, t.Description), ""), " ")
}

// match is what is asked of an index: the workspace's texts that have a word for each
// of these, which begins with it.
func match(ws mgx.WorkspaceID, words []string, and, quote, open string) string {
	parts := []string{quote + workspaceMark(ws) + quote}
	for _, w := range words {
		parts = append(parts, quote+w+quote+open)
	}
	return strings.Join(parts, and)
}
