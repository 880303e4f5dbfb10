package audit

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"mgx"
)

// Key signs checkpoints, with Ed25519.
type Key struct {
	name    string
	private ed25519.PrivateKey
}

// NewKey makes the key that belongs to a secret text.
func NewKey(secret string) *Key {
	seed := sha256.Sum256([]byte("mgx audit key\n" + secret))
	private := ed25519.NewKeyFromSeed(seed[:])
	public := sha256.Sum256(private.Public().(ed25519.PublicKey))
	return &Key{name: "mgx-" + hex.EncodeToString(public[:4]), private: private}
}

// Name says which key it is.
func (k *Key) Name() string { return k.name }

// KeyHash is the hash that a note names the key by.
func (k *Key) KeyHash() uint32 {
	sum := sha256.Sum256(append([]byte(k.name+"\n"), k.public()...))
	return binary.BigEndian.Uint32(sum[:])
}

// Sign signs a text.
func (k *Key) Sign(text []byte) ([]byte, error) { return ed25519.Sign(k.private, text), nil }

// public is the public key after the number of its algorithm, 1.
func (k *Key) public() []byte { return append([]byte{1}, k.private.Public().(ed25519.PublicKey)...) }

// Public is the verifier key, for whoever checks: NAME+HASH+KEY.
func (k *Key) Public() string {
	return fmt.Sprintf("%s+%08x+%s", k.name, k.KeyHash(), base64.StdEncoding.EncodeToString(k.public()))
}

// Trusted are the public keys whose checkpoints count.
func Trusted(keys ...string) (note.Verifiers, error) {
	var list []note.Verifier
	for _, text := range keys {
		v, err := note.NewVerifier(strings.TrimSpace(text))
		if err != nil {
			return nil, mgx.Errorf(mgx.KindUsage, "bad_audit_key", "%q is not a public key of an audit log (NAME+HASH+KEY, as mgx audit key prints it)", shorten(text))
		}
		list = append(list, v)
	}
	return note.VerifierList(list...), nil
}

func shorten(text string) string { return text[:min(len(text), 80)] }

// State is what a checkpoint says.
type State struct {
	Workspace mgx.WorkspaceID `json:"workspace_id"`
	Size      int64           `json:"size"`
	Root      tlog.Hash       `json:"root"`
	Time      time.Time       `json:"time"`
	Key       string          `json:"key"` // that signed it
}

const origin = "mgx/audit/"

// text is what is signed: origin, size, root and time, a line each.
func (s State) text() string {
	return fmt.Sprintf("%s%s\n%d\n%s\n%s\n", origin, s.Workspace, s.Size, s.Root, s.Time.UTC().Format(time.RFC3339))
}

// Read reads a checkpoint that one of the trusted keys signed.
func Read(text string, trusted note.Verifiers) (State, error) {
	var s State
	n, err := note.Open([]byte(text), trusted)
	if err != nil {
		return s, err
	}
	lines := strings.Split(n.Text, "\n")
	if len(lines) != 5 || !strings.HasPrefix(lines[0], origin) {
		return s, fmt.Errorf("it is not a checkpoint of an audit log")
	}
	s.Workspace, s.Key = mgx.WorkspaceID(strings.TrimPrefix(lines[0], origin)), n.Sigs[0].Name
	if s.Size, err = strconv.ParseInt(lines[1], 10, 64); err != nil || s.Size < 0 {
		return s, fmt.Errorf("its size is %q", lines[1])
	}
	if s.Root, err = tlog.ParseHash(lines[2]); err != nil {
		return s, err
	}
	s.Time, err = time.Parse(time.RFC3339, lines[3])
	return s, err
}

// Sign makes and keeps a checkpoint of how the log stands. The second result is
// false when there is nothing that the last one does not cover.
func (l Log) Sign(ctx context.Context, k *Key, now time.Time) (mgx.AuditCheckpoint, bool, error) {
	c := mgx.AuditCheckpoint{Workspace: l.Workspace, CreatedAt: now}
	last, found, err := l.Store.LastAuditCheckpoint(ctx, l.Workspace)
	if err != nil {
		return c, false, err
	}
	size, err := l.Store.AuditSize(ctx, l.Workspace)
	if err != nil || size == 0 || found && last.Size >= size {
		return c, false, err
	}
	root, err := tlog.TreeHash(size, l.tree(ctx))
	if err != nil {
		return c, false, err
	}
	signed, err := note.Sign(&note.Note{Text: State{Workspace: l.Workspace, Size: size, Root: root, Time: now}.text()}, k)
	if err != nil {
		return c, false, err
	}
	c.Size, c.Note = size, string(signed)
	return c, true, l.Store.SaveAuditCheckpoint(ctx, c)
}
