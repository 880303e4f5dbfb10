package main

import (
	"io"
	"os"
	"strings"
	"testing"

	"mgx"
	"mgx/internal/config"
	secrets "mgx/internal/secret"
)

// A key that a process wraps with the ring that it read before a rekey, and stores when
// all others are wrapped anew, is not lost with the key that the ring then drops.
func TestRekeyFindsWhatCameLate(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	env := func(name string) string { return map[string]string{"HOME": home}[name] }
	cfg, err := config.Load(env, map[string]string{"data": t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	n, err := (&cli{in: strings.NewReader(""), out: io.Discard, err: io.Discard, getenv: env, real: env, cfg: cfg}).openAny(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer n.close()
	late, err := n.vault("ws_late", true)
	if err != nil {
		t.Fatal(err)
	}
	renewed, err := late.Ring.Renewed()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := late.Set(t.Context(), "a", "value"); err != nil {
		t.Fatal(err)
	}
	newest, err := renewed.Newest()
	if err != nil {
		t.Fatal(err)
	}
	if err := saveRing(n.ringPath, newest, os.Rename); err != nil {
		t.Fatal(err)
	}
	if _, err := n.useSecret(t.Context(), "ws_late", "a", "a test"); !mgx.IsCode(err, secrets.CodeRing) {
		t.Fatalf("before it is looked for: %v", err)
	}
	if err := n.rewrapLate(t.Context(), renewed, newest); err != nil {
		t.Fatal(err)
	}
	if got, err := n.useSecret(t.Context(), "ws_late", "a", "a test"); err != nil || got != "value" {
		t.Errorf("got %q %v", got, err)
	}
}
