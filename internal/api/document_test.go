package api_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"mgx/internal/api"
	"mgx/internal/event"
)

// documentFile is the copy of the document in the repository.
const documentFile = "../../docs/reference/openapi.json"

// The copy in the repository is the document of the code. MGX_UPDATE=1 writes it.
func TestDocumentIsCurrent(t *testing.T) {
	t.Parallel()
	now, err := bare(t).Document()
	must(t, err)
	if os.Getenv("MGX_UPDATE") != "" {
		must(t, os.WriteFile(filepath.FromSlash(documentFile), now, 0o644))
		return
	}
	kept, err := os.ReadFile(filepath.FromSlash(documentFile))
	must(t, err)
	if !bytes.Equal(now, kept) {
		t.Error("docs/reference/openapi.json is not the document of the code any more; run: make docs")
	}
}

// bare is a server with nothing behind it, for what hangs on its routes alone.
func bare(t testing.TB) *api.Server {
	t.Helper()
	hub := event.NewHub(event.HubOptions{Source: nothing{}, Epoch: "e", Key: make([]byte, 16), Authorize: event.OneWorkspace("ws")})
	contracts, err := event.NewRegistry()
	must(t, err)
	return api.New(api.Options{Hub: hub, Contracts: contracts, Token: token})
}
