package main

import (
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"mgx/internal/event"
	"mgx/internal/store"
)

// oldKeyFile is where each data directory kept a key of its own, before all
// servers on one database shared theirs.
const oldKeyFile = "resume.key"

const keysEvery = time.Hour // between two looks whether the key is to be replaced

// resumeKeys are what resume tokens are signed with by every server on this
// database: the key that signs, then those that count still.
func (n *node) resumeKeys(ctx context.Context) ([][]byte, error) {
	if err := n.adoptOldKey(ctx); err != nil {
		return nil, err
	}
	keys, err := n.store.SharedKeys(ctx, store.ResumeKey, rand.Text()+rand.Text())
	return keyBytes(keys), err
}

func (n *node) knownResumeKeys(ctx context.Context) ([][]byte, error) {
	keys, err := n.store.KnownKeys(ctx, store.ResumeKey)
	return keyBytes(keys), err
}

func keyBytes(keys []string) [][]byte {
	list := make([][]byte, len(keys))
	for i, k := range keys {
		list[i] = []byte(k)
	}
	return list
}

// adoptOldKey moves the key of an older version into the database, so that its
// readers resume.
func (n *node) adoptOldKey(ctx context.Context) error {
	old, err := openedSecret(n.data, oldKeyFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := n.store.AdoptKey(ctx, store.ResumeKey, old.value); err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(n.data, oldKeyFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return dataError(n.data, err)
	}
	return nil
}

// renewKeys replaces the key when its time has come, or hears that another
// server did.
func (n *node) renewKeys(ctx context.Context, hub *event.Hub) {
	tick := time.NewTicker(keysEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		keys, err := n.resumeKeys(ctx)
		if err != nil {
			if ctx.Err() == nil {
				n.log.Warn("the keys of resume tokens cannot be read; those that are known go on", "error", err)
			}
			continue
		}
		hub.SetKeys(keys...)
	}
}
