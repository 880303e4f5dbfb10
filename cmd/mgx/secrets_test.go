package main

import (
	"io"
	"os"
	"strings"
	"sync"
	"testing"

	"mgx"
	"mgx/internal/config"
	secrets "mgx/internal/secret"
)

// A key that a process wraps with the ring that it read before a rekey, and stores when
// all others are wrapped anew, is not lost with the key that the ring then drops.
func TestRekeyFindsWhatCameLate(t *testing.T) {
	t.Parallel()
	n := newSecretsCLI(t).open(t)
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

// secretsCLI runs commands on a data directory of its own, each as a process would.
type secretsCLI struct {
	env  func(string) string
	data string
}

func newSecretsCLI(t *testing.T) secretsCLI {
	home := t.TempDir()
	return secretsCLI{func(name string) string { return map[string]string{"HOME": home}[name] }, t.TempDir()}
}

func (s secretsCLI) cli(t *testing.T) *cli {
	t.Helper()
	cfg, err := config.Load(s.env, map[string]string{"data": s.data})
	if err != nil {
		t.Fatal(err)
	}
	return &cli{in: strings.NewReader(""), out: io.Discard, err: io.Discard, getenv: s.env, real: s.env, cfg: cfg}
}

func (s secretsCLI) open(t *testing.T) *node {
	t.Helper()
	n, err := s.cli(t).openAny(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.close() })
	return n
}

func (s secretsCLI) rekey(t *testing.T) error {
	cmd := s.cli(t).secretsRekeyCommand()
	cmd.SetContext(t.Context())
	return cmd.RunE(cmd, nil)
}

// Of several at once none drops the key with which another wraps.
func TestRekeyAtOnce(t *testing.T) {
	t.Parallel()
	s := newSecretsCLI(t)
	n := s.open(t)
	v, err := n.vault("ws_a", true)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.Set(t.Context(), "a", "value"); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				if err := s.rekey(t); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if got, err := n.useSecret(t.Context(), "ws_a", "a", "a test"); err != nil || got != "value" {
			t.Fatalf("got %q %v", got, err)
		}
	}
}

// What was dropped when a rekey was interrupted, and is still needed, is found by the
// next; a ring that somebody put in its place is not overwritten.
func TestRekeyAfterAnInterruption(t *testing.T) {
	t.Parallel()
	s := newSecretsCLI(t)
	n := s.open(t)
	v, err := n.vault("ws_a", true)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.Set(t.Context(), "a", "value"); err != nil {
		t.Fatal(err)
	}
	renewed, err := v.Ring.Renewed()
	if err != nil {
		t.Fatal(err)
	}
	if err := saveRing(n.ringPath, renewed, os.Rename); err != nil {
		t.Fatal(err)
	}
	if _, err := n.drop(renewed); err != nil { // and nothing was wrapped anew
		t.Fatal(err)
	}
	left, err := os.ReadFile(n.ringPath)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(n.ringPath, n.ringPath+".away"); err != nil {
		t.Fatal(err)
	}
	other, err := secrets.NewRing()
	if err != nil {
		t.Fatal(err)
	}
	if err := saveRing(n.ringPath, other, os.Rename); err != nil {
		t.Fatal(err)
	}
	if err := s.rekey(t); !mgx.IsCode(err, "key_ring_changed") {
		t.Errorf("with another ring in its place: %v", err)
	}
	if err := os.WriteFile(n.ringPath, left, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.rekey(t); err != nil {
		t.Fatal(err)
	}
	if got, err := n.useSecret(t.Context(), "ws_a", "a", "a test"); err != nil || got != "value" {
		t.Errorf("got %q %v", got, err)
	}
	if _, err := os.Stat(n.earlierRing()); !os.IsNotExist(err) {
		t.Errorf("the keys that are dropped are still there: %v", err)
	}
}
