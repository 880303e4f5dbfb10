package secret_test

import (
	"testing"

	"mgx/internal/secret"
	"mgx/internal/secret/secrettest"
)

func ring(t *testing.T) *secret.Ring {
	t.Helper()
	r, err := secret.NewRing()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestFile(t *testing.T) {
	secrettest.Suite(t, secret.FileWrapper(ring(t)), secret.FileWrapper(ring(t)))
}
