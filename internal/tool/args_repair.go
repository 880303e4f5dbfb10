package tool

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

var errCutOff = errors.New("the JSON ends before the object is complete; send all of it, in smaller calls if it is long")

// parseObject reads one JSON object from what a model sent.
func parseObject(raw string) (map[string]any, error) {
	text := strings.ToValidUTF8(strings.TrimPrefix(raw, bom), "\uFFFD")
	const unwrappings = 4 // times that JSON may be encoded as a string
	for range unwrappings {
		text = strings.TrimSpace(text)
		if text == "" || text == "null" {
			return map[string]any{}, nil
		}
		v, err := decodeRepaired(text)
		if err != nil {
			return nil, err
		}
		switch v := v.(type) {
		case map[string]any:
			return v, nil
		case string:
			text = v
		default:
			return nil, fmt.Errorf("they must be a JSON object, not %s", jsonKind(v))
		}
	}
	return nil, errors.New("they must be a JSON object, not a string")
}

func jsonKind(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case bool:
		return "a boolean"
	case string:
		return "a string"
	case []any:
		return "a list"
	case map[string]any:
		return "an object"
	}
	return "a number"
}

// decodeRepaired decodes JSON, mending it when it is not quite that. Of several
// values it takes the first; but an empty object before another, as some servers
// send, is passed over, and two full ones are an error.
func decodeRepaired(text string) (any, error) {
	if v, err := decode(text); err == nil {
		return v, nil
	}
	mended, rest, err := mend(fromStart(text))
	if err != nil {
		return nil, err
	}
	if strings.HasPrefix(strings.TrimSpace(rest), "{") {
		if mended != "{}" {
			return nil, errTwo
		}
		if mended, rest, err = mend(fromStart(rest)); err != nil {
			return nil, err
		}
		if strings.HasPrefix(strings.TrimSpace(rest), "{") {
			return nil, errTwo
		}
	}
	v, err := decode(mended)
	if err != nil {
		return nil, fmt.Errorf("they are not JSON: %s", Clean(err.Error()))
	}
	return v, nil
}

var errTwo = errors.New("there are several JSON objects; make one call for each")

// fromStart drops what stands before the value: a fence, a tag, words.
func fromStart(text string) string {
	if text != "" && strings.IndexByte(`{["`, text[0]) >= 0 {
		return text
	}
	if i := strings.IndexByte(text, '{'); i >= 0 {
		return text[i:]
	}
	return ""
}

// decode reads exactly one value.
func decode(text string) (any, error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("text after the value")
	}
	return v, nil
}

// mend rewrites the first value in text, which begins with a bracket or quote, as
// JSON, and returns what follows it.
func mend(text string) (mended, rest string, err error) {
	if text == "" {
		return "", "", errors.New("they must be a JSON object")
	}
	var out bytes.Buffer
	var open []byte // brackets to close
	for i := 0; i < len(text); {
		switch c := text[i]; {
		case c == '"':
			n, err := mendString(&out, text[i:])
			if err != nil {
				return "", "", err
			}
			i += n
		case c == '{' || c == '[':
			open = append(open, c+2) // '}' and ']' are two after their openers
			out.WriteByte(c)
			i++
		case c == '}' || c == ']':
			if len(open) == 0 || open[len(open)-1] != c {
				return "", "", errors.New("their brackets do not match")
			}
			dropComma(&out)
			open = open[:len(open)-1]
			out.WriteByte(c)
			i++
		case c >= 'A' && c <= 'Z':
			n := wordLength(text[i:])
			out.WriteString(literal(text[i : i+n]))
			i += n
		default:
			out.WriteByte(c)
			i++
		}
		if len(open) == 0 {
			return out.String(), text[i:], nil
		}
	}
	return "", "", errCutOff
}

// dropComma takes back a comma that nothing followed.
func dropComma(out *bytes.Buffer) {
	if t, ok := bytes.CutSuffix(bytes.TrimRight(out.Bytes(), " \t\r\n"), []byte(",")); ok {
		out.Truncate(len(t))
	}
}

func wordLength(s string) int {
	n := 0
	for n < len(s) && (s[n]|0x20 >= 'a' && s[n]|0x20 <= 'z') {
		n++
	}
	return n
}

// literal is JSON's word for one of Python's.
func literal(word string) string {
	switch word {
	case "True":
		return "true"
	case "False":
		return "false"
	case "None":
		return "null"
	}
	return word
}

// mendString copies one string, with raw control characters escaped and
// backslashes that escape nothing doubled. It returns the string's length in
// text.
func mendString(out *bytes.Buffer, text string) (int, error) {
	out.WriteByte('"')
	for i := 1; i < len(text); {
		c := text[i]
		switch {
		case c == '"':
			out.WriteByte('"')
			return i + 1, nil
		case c == '\\':
			if i+1 == len(text) {
				return 0, errCutOff
			}
			n := mendEscape(out, text[i:])
			i += n
		case c < ' ':
			fmt.Fprintf(out, `\u%04x`, c)
			i++
		default:
			out.WriteByte(c)
			i++
		}
	}
	return 0, errCutOff
}

func mendEscape(out *bytes.Buffer, text string) int {
	switch c := text[1]; {
	case strings.IndexByte(`"\/bfnrt`, c) >= 0:
		out.WriteString(text[:2])
	case c == 'u' && len(text) >= 6 && isHex(text[2:6]):
		out.WriteString(text[:6])
		return 6
	case c == '\'':
		out.WriteByte(c)
	case c < ' ':
		fmt.Fprintf(out, `\u%04x`, c)
	case c >= utf8.RuneSelf: // the character's other bytes follow
		out.WriteString(`\\`)
		return 1
	default:
		out.WriteString(`\\` + string(rune(c)))
	}
	return 2
}

func isHex(s string) bool {
	for i := range len(s) {
		if c := s[i] | 0x20; !(c >= '0' && c <= '9' || c >= 'a' && c <= 'f') {
			return false
		}
	}
	return true
}
