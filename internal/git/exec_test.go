package git

import (
	"bytes"
	"testing"
)

// What a command on the host says is kept up to its limit, however it is read.
func TestOutputOfHostCommandsIsBounded(t *testing.T) {
	t.Parallel()
	text := bytes.Repeat([]byte("text\n"), 1<<18)
	dir := t.TempDir()
	shell(t, dir, "git init -q")
	repeat := func(cut bool) ([]byte, error) {
		return hostCommand{dir: dir, env: base(), stdin: bytes.NewReader(text), limit: 100, cut: cut, doing: "test", args: []string{"stripspace"}}.run(t.Context())
	}
	if out, err := repeat(true); err != nil || len(out) != 100 {
		t.Errorf("%d bytes are kept, %v", len(out), err)
	}
	if out, err := repeat(false); err == nil || len(out) != 100 {
		t.Errorf("%d bytes are kept, %v", len(out), err)
	}
	_, err := hostCommand{dir: dir, env: base(), args: []string{"no-such-" + string(bytes.Repeat([]byte("x"), 100_000))}}.run(t.Context())
	if said := len(saidBy(err)); said != maxSaid {
		t.Errorf("%d bytes of what went wrong are kept", said)
	}
}
