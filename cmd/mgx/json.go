package main

import (
	"bytes"
	"encoding/json"
	"io"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

func printJSON[T any](c *cli, values ...T) error {
	for _, v := range values {
		if err := writeJSON(c.out, v); err != nil {
			return err
		}
	}
	return nil
}

// writeJSON writes a value on a line of its own. What would control a terminal is
// escaped: also text from agents and servers ends up on one.
func writeJSON(w io.Writer, v any) error {
	var line bytes.Buffer
	enc := json.NewEncoder(&line)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return err
	}
	_, err := w.Write(escaped(line.Bytes()))
	return err
}

// escaped writes what is not printable as JSON escapes it. In JSON such characters
// are nowhere but in strings.
func escaped(line []byte) []byte {
	clean := line[:0:0]
	from := 0
	for i := 0; i < len(line); {
		r, size := utf8.DecodeRune(line[i:])
		if r >= 0x7f && !unicode.IsPrint(r) {
			clean = append(clean, line[from:i]...)
			for _, unit := range utf16.Encode([]rune{r}) {
				clean = append(clean, '\\', 'u', hexDigits[unit>>12], hexDigits[unit>>8&15], hexDigits[unit>>4&15], hexDigits[unit&15])
			}
			from = i + size
		}
		i += size
	}
	if clean == nil {
		return line
	}
	return append(clean, line[from:]...)
}

const hexDigits = "0123456789abcdef"
