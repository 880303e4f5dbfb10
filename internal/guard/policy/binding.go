package policy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"mgx"
)

// Canonical is the one form of JSON arguments that is hashed and shown: fields in
// order, numbers as they were written, and characters that a reader would not see
// as escapes.
func Canonical(args json.RawMessage) (json.RawMessage, error) {
	if len(bytes.TrimSpace(args)) == 0 {
		return json.RawMessage("{}"), nil
	}
	d := json.NewDecoder(bytes.NewReader(args))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, mgx.Errorf(mgx.KindUsage, "bad_arguments", "the arguments are not JSON: %w", err)
	}
	if d.More() {
		return nil, mgx.Errorf(mgx.KindUsage, "bad_arguments", "the arguments are more than one JSON value")
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, mgx.Errorf(mgx.KindUsage, "bad_arguments", "the arguments are not JSON: %w", err)
	}
	return legibly(bytes.TrimSpace(b.Bytes())), nil
}

// legibly escapes what is not printed as itself. Such characters stand only within
// the strings of a JSON text, so its meaning stays.
func legibly(text []byte) json.RawMessage {
	var b bytes.Buffer
	for _, r := range string(text) {
		switch {
		case r < utf8.RuneSelf || unicode.IsPrint(r) && !unicode.IsMark(r):
			b.WriteRune(r)
		case r > 0xFFFF:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.Bytes()
}

// Bind is the hash that an approval of one call is bound to: of the tool, its
// exact arguments, the run and the policy. Arguments must be canonical.
func Bind(tool string, args json.RawMessage, run mgx.RunID, policyHash string) string {
	return bound("call", tool, string(args), string(run), policyHash)
}

// Grant names what "and the same for the rest of the run" covers: the tool with,
// for a command, its exact line, directory and hosts beyond the run's; for a change of files within the
// workspace, the exact files; for anything else its exact arguments. And it says
// so in words.
func Grant(f Facts, args json.RawMessage) (key, words string) {
	switch {
	case f.Command != "":
		var a struct {
			Workdir string `json:"workdir"`
		}
		_ = json.Unmarshal(args, &a) // another shape: no directory
		words = "this exact command"
		if len(f.Hosts) > 0 {
			words += ", reaching " + shown(strings.Join(f.Hosts, ", "))
		}
		return bound(append([]string{"command", f.Tool, f.Command, a.Workdir}, f.Hosts...)...), words
	case f.Effect == Write && !f.Outside && !f.Vague && len(f.Paths) > 0:
		return bound(append([]string{"files", f.Tool}, f.Paths...)...), "any " + f.Tool + " of " + shown(strings.Join(f.Paths, ", "))
	}
	return bound("arguments", f.Tool, string(args)), f.Tool + " with exactly these arguments"
}

// bound hashes parts so that none can run into the next.
func bound(parts ...string) string {
	text, err := json.Marshal(parts)
	if err != nil {
		panic("policy: " + err.Error()) // strings always encode
	}
	return digest(text)
}

// Digest is the SHA-256 of canonical arguments, as it is shown beside them.
func Digest(args json.RawMessage) string { return digest(args) }
