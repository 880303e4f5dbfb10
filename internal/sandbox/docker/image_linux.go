//go:build amd64 || arm64 || riscv64

package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"path"
	"slices"
	"strings"

	"mgx/internal/sandbox/confine"
	"mgx/internal/sandbox/internal/boxinit"
)

// repository names the images: a few empty directories, links and files, named by
// what is in them. Programs and libraries are the machine's, mounted.
const repository = "localhost/mgx-box"

// image is the root of containers for a plan; it is made if there is none.
func (e *engine) image(ctx context.Context, p confine.Plan) (string, error) {
	content, err := rootTar(p)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(content)
	tag := repository + ":" + hex.EncodeToString(sum[:8])
	if _, err := e.ask(ctx, nil, "image", "inspect", "--format", "{{.Id}}", tag); err == nil {
		return tag, nil
	}
	_, err = e.ask(ctx, bytes.NewReader(content), "import", "-", tag)
	return tag, err
}

// rootTar is what a native box has in its root.
func rootTar(p confine.Plan) ([]byte, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	dirs := slices.Concat(p.Dirs, []string{boxinit.ContainedDir, "/proc", "/sys", "/tmp", "/workspace"})
	slices.Sort(dirs)
	for _, d := range slices.Compact(dirs) {
		mode := int64(0o755)
		if d == "/tmp" {
			mode = 0o1777 // which engines give to what they mount there, whatever they are told
		}
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: strings.TrimPrefix(d, "/") + "/", Mode: mode}); err != nil {
			return nil, err
		}
	}
	for _, l := range p.Links {
		if confine.Within(l.Path, "/dev") { // the engine makes those
			continue
		}
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeSymlink, Name: path.Clean(l.Path)[1:], Linkname: l.To, Mode: 0o777}); err != nil {
			return nil, err
		}
	}
	for _, f := range p.Files {
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: path.Clean(f.Path)[1:], Size: int64(len(f.Text)), Mode: 0o444}); err != nil {
			return nil, err
		}
		if _, err := w.Write([]byte(f.Text)); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), w.Close()
}
