package secret

import (
	"context"
	"errors"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"

	"mgx"
)

// Wrapper wraps the keys of workspaces with a key that it keeps, perhaps in another
// program that never lets it out. The ring's own file is one; package transit has
// HashiCorp Vault be one. The suite in secrettest says what any must do.
//
// Its methods may be called by many at once. Nothing that they return, or write
// anywhere, has the key or what the wrapper needs to get at its own.
type Wrapper interface {
	// Wrap seals a key and binds it to what it is of: Unwrap opens the box for that
	// alone. Two boxes of one key differ. It returns no box that Unwrap does not open.
	Wrap(ctx context.Context, key, of []byte) ([]byte, error)
	// Unwrap opens a box. The error has CodeRing when the box was made by another
	// wrapper, for something else, or was changed: asking again is of no use. Any
	// other error says what is in the way and what to do about it, as a *mgx.Error.
	Unwrap(ctx context.Context, box, of []byte) ([]byte, error)
	// Made reports whether a box looks like one of this kind of wrapper.
	Made(box []byte) bool
	// Name says where the key is, in a word or two: for the audit log.
	Name() string
}

// CodeRing is the code of errors that mean that the key ring is not the right one.
const CodeRing = "wrong_key_ring"

// CodeNoRing is the code of errors that mean that the key ring is not there.
const CodeNoRing = "no_key_ring"

// fileWrapper wraps with the keys of a file.
type fileWrapper struct{ handle *keyset.Handle }

// tinkPrefix begins whatever a keyset of Tink sealed.
const tinkPrefix = 1

func (fileWrapper) Name() string         { return "file" }
func (fileWrapper) Made(box []byte) bool { return len(box) > 0 && box[0] == tinkPrefix }

func (w fileWrapper) Wrap(_ context.Context, key, of []byte) ([]byte, error) {
	a, err := aead.New(w.handle)
	if err != nil {
		return nil, err
	}
	return a.Encrypt(key, of)
}

func (w fileWrapper) Unwrap(_ context.Context, box, of []byte) ([]byte, error) {
	a, err := aead.New(w.handle)
	if err != nil {
		return nil, err
	}
	key, err := a.Decrypt(box, of)
	if err != nil {
		return nil, mgx.Errorf(mgx.KindConfig, CodeRing, "the key ring does not open the box: it is that of another installation, or the box was changed")
	}
	return key, nil
}

// carrier is a Wrapper as Tink wants one. Tink puts the cause of a failure into
// words of its own, so it is kept here.
type carrier struct {
	Wrapper
	failure error
}

func (c *carrier) EncryptWithContext(ctx context.Context, key, of []byte) ([]byte, error) {
	box, err := c.Wrap(ctx, key, of)
	c.failure = err
	return box, err
}

func (c *carrier) DecryptWithContext(ctx context.Context, box, of []byte) ([]byte, error) {
	key, err := c.Unwrap(ctx, box, of)
	c.failure = err
	return key, err
}

// told is why a wrapper failed, or, where it did not, why Tink did.
func (c *carrier) told(err error) error {
	if err == nil || c.failure == nil {
		return err
	}
	if _, ours := errors.AsType[*mgx.Error](c.failure); ours {
		return c.failure
	}
	return errors.Join(err, c.failure)
}
