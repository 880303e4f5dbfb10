package secret

import (
	"bytes"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"

	"mgx"
)

// Ring wraps the keys of workspaces. It may hold several keys, of which the newest
// wraps and all unwrap. It is never stored where the secrets are.
type Ring struct{ handle *keyset.Handle }

// CodeRing is the code of errors that mean that the key ring is not the right one.
const CodeRing = "wrong_key_ring"

// NewRing makes a ring with one key.
func NewRing() (*Ring, error) {
	h, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	return &Ring{h}, err
}

// ParseRing reads what Text wrote.
func ParseRing(text []byte) (*Ring, error) {
	h, err := insecurecleartextkeyset.Read(keyset.NewJSONReader(bytes.NewReader(text)))
	if err != nil {
		// The cause may quote the text.
		return nil, mgx.Errorf(mgx.KindConfig, CodeRing, "the key ring of the secrets cannot be read: it is not what mgx secrets wrote; put the right file in its place, or restore it from where you keep it")
	}
	return &Ring{h}, nil
}

// Text is the ring itself, in the clear: for a file that nobody else can read.
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
	return &Ring{h}, err
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
	return &Ring{h}, err
}

// wrap makes and wraps a key for a workspace.
func (r *Ring) wrap(key *keyset.Handle, ws mgx.WorkspaceID, version int64) ([]byte, error) {
	a, err := aead.New(r.handle)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = key.WriteWithAssociatedData(keyset.NewBinaryWriter(&out), a, binding("key", string(ws), version))
	return out.Bytes(), err
}

func (r *Ring) unwrap(k mgx.WorkspaceKey) (*keyset.Handle, error) {
	a, err := aead.New(r.handle)
	if err != nil {
		return nil, err
	}
	h, err := keyset.ReadWithAssociatedData(keyset.NewBinaryReader(bytes.NewReader(k.Wrapped)), a, binding("key", string(k.Workspace), k.Version))
	if err != nil {
		return nil, mgx.Errorf(mgx.KindConfig, CodeRing, "the key ring does not open the key of workspace %s: it is that of another installation, or the database was tampered with", k.Workspace)
	}
	return h, nil
}
