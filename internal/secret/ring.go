package secret

import (
	"bytes"
	"context"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"

	"mgx"
)

// Ring wraps the keys of workspaces: with keys of its own, which are in a file, or
// with those of a Wrapper elsewhere. Of several keys the newest wraps and all unwrap. It
// is never stored where the secrets are.
type Ring struct {
	handle  *keyset.Handle // nil: it has no keys of its own
	outside Wrapper        // nil: none
	leaving bool           // nothing new is wrapped outside
}

// Outside is a ring whose keys are elsewhere. Nothing is wrapped with those of file, but
// they still unwrap what they wrapped; file may be nil.
func Outside(w Wrapper, file *Ring) *Ring {
	r := &Ring{outside: w}
	if file != nil {
		r.handle = file.handle
	}
	return r
}

// Inside is the ring, whose own keys wrap from now on, and which still unwraps what w
// wrapped.
func (r *Ring) Inside(w Wrapper) *Ring {
	return &Ring{handle: r.handle, outside: w, leaving: true}
}

// NewRing makes a ring with one key.
func NewRing() (*Ring, error) {
	h, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	return &Ring{handle: h}, err
}

// ParseRing reads what Text wrote.
func ParseRing(text []byte) (*Ring, error) {
	h, err := insecurecleartextkeyset.Read(keyset.NewJSONReader(bytes.NewReader(text)))
	if err != nil {
		// The cause may quote the text.
		return nil, mgx.Errorf(mgx.KindConfig, CodeRing, "the key ring of the secrets cannot be read: it is not what mgx secrets wrote; put the right file in its place, or restore it from where you keep it")
	}
	return &Ring{handle: h}, nil
}

// Text is the ring's own keys, in the clear: for a file that nobody else can read.
func (r *Ring) Text() ([]byte, error) {
	var out bytes.Buffer
	err := insecurecleartextkeyset.Write(r.handle, keyset.NewJSONWriter(&out))
	return out.Bytes(), err
}

// Renewed is the ring with a new key, which wraps from now on.
func (r *Ring) Renewed() (*Ring, error) {
	m := keyset.NewManagerFromHandle(r.handle)
	id, err := m.Add(aead.AES256GCMKeyTemplate())
	if err != nil {
		return nil, err
	}
	if err := m.SetPrimary(id); err != nil {
		return nil, err
	}
	h, err := m.Handle()
	return &Ring{handle: h}, err
}

// Newest is the ring with the key alone that wraps, once nothing needs the others.
func (r *Ring) Newest() (*Ring, error) {
	m := keyset.NewManagerFromHandle(r.handle)
	primary, err := r.handle.Primary()
	if err != nil {
		return nil, err
	}
	for i := range r.handle.Len() {
		e, err := r.handle.Entry(i)
		if err != nil {
			return nil, err
		}
		if e.KeyID() != primary.KeyID() {
			if err := m.Delete(e.KeyID()); err != nil {
				return nil, err
			}
		}
	}
	h, err := m.Handle()
	return &Ring{handle: h}, err
}

// Has reports whether the ring has all keys that other has of its own.
func (r *Ring) Has(other *Ring) bool {
	for i := range other.handle.Len() {
		e, err := other.handle.Entry(i)
		if err != nil || !r.has(e) {
			return false
		}
	}
	return true
}

func (r *Ring) has(e *keyset.Entry) bool {
	for i := range r.handle.Len() {
		if own, err := r.handle.Entry(i); err == nil && own.KeyID() == e.KeyID() && own.Key().Equal(e.Key()) {
			return true
		}
	}
	return false
}

// keeper is what wraps now.
func (r *Ring) keeper() Wrapper {
	if r.outside != nil && !r.leaving {
		return r.outside
	}
	return fileWrapper{r.handle}
}

// opener finds what opens a box.
func (r *Ring) opener(k mgx.WorkspaceKey, box []byte) (Wrapper, error) {
	if r.outside != nil && r.outside.Made(box) {
		return r.outside, nil
	}
	own := fileWrapper{r.handle}
	switch {
	case !own.Made(box) && r.outside == nil:
		return nil, mgx.Errorf(mgx.KindConfig, CodeNoRing, "the key of workspace %s is not wrapped with a key ring in a file; name the HashiCorp Vault that wraps it with --secrets-vault, see docs/secrets.md", k.Workspace)
	case !own.Made(box):
		return nil, r.wrong(k)
	case r.handle == nil:
		return nil, mgx.Errorf(mgx.KindConfig, CodeNoRing, "the key of workspace %s is still wrapped with the key ring in a file, which is missing; put it back and run: mgx secrets rekey", k.Workspace)
	}
	return own, nil
}

func (*Ring) wrong(k mgx.WorkspaceKey) error {
	return mgx.Errorf(mgx.KindConfig, CodeRing, "the key ring does not open the key of workspace %s: it is that of another installation, or the database was tampered with", k.Workspace)
}

// wrap wraps a key of a workspace.
func (r *Ring) wrap(ctx context.Context, key *keyset.Handle, ws mgx.WorkspaceID, version int64) ([]byte, error) {
	var out bytes.Buffer
	c := &carrier{Wrapper: r.keeper()}
	err := key.WriteWithContext(ctx, keyset.NewBinaryWriter(&out), c, binding("key", string(ws), version))
	return out.Bytes(), c.told(err)
}

func (r *Ring) unwrap(ctx context.Context, k mgx.WorkspaceKey) (*keyset.Handle, error) {
	stored, err := keyset.NewBinaryReader(bytes.NewReader(k.Wrapped)).ReadEncrypted()
	if err != nil {
		return nil, r.wrong(k)
	}
	w, err := r.opener(k, stored.GetEncryptedKeyset())
	if err != nil {
		return nil, err
	}
	c := &carrier{Wrapper: w}
	h, err := keyset.ReadWithContext(ctx, keyset.NewBinaryReader(bytes.NewReader(k.Wrapped)), c, binding("key", string(k.Workspace), k.Version))
	if err = c.told(err); err != nil && (c.failure == nil || mgx.IsCode(err, CodeRing)) {
		return nil, r.wrong(k)
	}
	return h, err
}
