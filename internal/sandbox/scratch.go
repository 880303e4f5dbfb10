package sandbox

import (
	"os"
	"path/filepath"

	"mgx"
	"mgx/internal/sandbox/internal/leftover"
)

// Scratch makes a directory for temporary files of this process, and removes
// those of the same kind whose processes were killed before they could. The
// caller removes it with RemoveState.
func Scratch(kind string) (dir string, err error) {
	prefix := "mgx-" + kind + "-"
	sweep(os.TempDir(), prefix)
	dir, err = os.MkdirTemp("", leftover.Name(prefix))
	if err != nil {
		return "", mgx.Errorf(mgx.KindConfig, "sandbox_state", "there is no room for temporary files: %w", err)
	}
	return dir, nil
}

// sweep is careful: others may write where temporary files are.
func sweep(parent, prefix string) {
	list, err := os.ReadDir(parent)
	if err != nil {
		return
	}
	for _, e := range list {
		if !e.IsDir() || !leftover.Gone(prefix, e.Name()) {
			continue
		}
		if info, err := e.Info(); err == nil && ours(info) {
			_ = RemoveState(filepath.Join(parent, e.Name()))
		}
	}
}
