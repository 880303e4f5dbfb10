package audit_test

import (
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"mgx/internal/audit"
)

// The key of a secret is always the same, and no other's.
func TestKey(t *testing.T) {
	t.Parallel()
	a, again, b := audit.NewKey("one"), audit.NewKey("one"), audit.NewKey("two")
	if a.Public() != again.Public() || a.Public() == b.Public() || a.Name() == b.Name() {
		t.Errorf("%s\n%s\n%s", a.Public(), again.Public(), b.Public())
	}
	v, err := note.NewVerifier(a.Public())
	if err != nil || v.Name() != a.Name() || v.KeyHash() != a.KeyHash() {
		t.Fatalf("the public key is not that of the private one: %v", err)
	}
	sig, _ := a.Sign([]byte("text"))
	if !v.Verify([]byte("text"), sig) || v.Verify([]byte("tent"), sig) {
		t.Error("signatures do not mean anything")
	}
}

// Only what a trusted key signed is read, and only what is a checkpoint.
func TestReadRefuses(t *testing.T) {
	t.Parallel()
	key := audit.NewKey("one")
	trusted, err := audit.Trusted(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	root := strings.Repeat("A", 43) + "="
	for text, good := range map[string]bool{
		"mgx/audit/ws\n3\n" + root + "\n2026-11-28T10:00:00Z\n":    true,
		"mgx/audit/ws\n-3\n" + root + "\n2026-11-28T10:00:00Z\n":   false,
		"mgx/audit/ws\n3\nAAAA\n2026-11-28T10:00:00Z\n":            false,
		"mgx/audit/ws\n3\n" + root + "\nyesterday\n":               false,
		"other/log\n3\n" + root + "\n2026-11-28T10:00:00Z\n":       false,
		"mgx/audit/ws\n3\n" + root + "\n2026-11-28T10:00:00Z\nx\n": false,
	} {
		signed, err := note.Sign(&note.Note{Text: text}, key)
		if err != nil {
			t.Fatal(err)
		}
		s, err := audit.Read(string(signed), trusted)
		if (err == nil) != good || good && (s.Size != 3 || s.Workspace != "ws" || !s.Time.Equal(time.Date(2026, 11, 28, 10, 0, 0, 0, time.UTC)) || s.Key != key.Name()) {
			t.Errorf("%q is read as %+v, %v", text, s, err)
		}
		if _, err := audit.Read(text, trusted); err == nil {
			t.Errorf("%q is read though nobody signed it", text)
		}
	}
}
