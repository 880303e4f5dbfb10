package git

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"mgx"
)

const (
	maxBundle       = 2 << 30  // bytes
	maxBundleHeader = 64 << 10 // bytes
)

const bundleScript = `
git update-ref ` + resultRef + ` "$2" &&
rm -f "$GIT_DIR/` + bundleName + `" &&
git bundle create -q "$GIT_DIR/` + bundleName + `" ` + resultRef + ` "^$1"`

// Bundle writes what commit has and base has not into a bundle, and returns its
// path on the host. Base must be a commit that the user's repository has: the
// source's head.
func (c *Clone) Bundle(ctx context.Context, base, commit string) (path string, err error) {
	if err := needIDs(base, commit); err != nil {
		return "", err
	}
	if base == commit {
		return "", mgx.Errorf(mgx.KindInternal, "nothing_to_deliver", "the run has made no commit")
	}
	end, err := c.begin()
	if err != nil {
		return "", err
	}
	defer end()
	_, err = c.run(ctx, command{script: bundleScript, args: []string{base, commit}, access: stores, doing: "write the bundle"})
	if err != nil {
		return "", err
	}
	return c.file(bundleName), nil
}

// bundle is a result on its way back: bytes of which the header has been read
// and nothing is believed.
type bundle struct {
	file *os.File
	pack int64 // where its objects begin
	tip  string

	format string // of its objects
	needs  bool   // commits that it does not hold
}

// openBundle reads the header that gitformat-bundle(5) describes. Without an object
// format it takes either.
func openBundle(name, objectFormat string) (*bundle, error) {
	info, err := os.Lstat(name)
	if err != nil || !info.Mode().IsRegular() {
		return nil, badBundle("it is not a file")
	}
	if info.Size() > maxBundle {
		return nil, badBundle("it is larger than %d MB", maxBundle>>20)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, onDisk(err)
	}
	b := &bundle{file: f}
	if err := b.readHeader(objectFormat); err != nil {
		f.Close()
		return nil, err
	}
	return b, nil
}

func (b *bundle) readHeader(objectFormat string) error {
	in := bufio.NewReader(io.LimitReader(b.file, maxBundleHeader))
	format, version := "sha1", ""
	for {
		line, err := in.ReadString('\n')
		b.pack += int64(len(line))
		if err != nil {
			return badBundle("its header does not end")
		}
		line = strings.TrimSuffix(line, "\n")
		switch {
		case version == "":
			version = line
			if line != "# v2 git bundle" && line != "# v3 git bundle" {
				return badBundle("it is not a bundle")
			}
		case line == "":
			return b.checkHeader(format, objectFormat)
		case strings.HasPrefix(line, "@object-format="):
			format = strings.TrimPrefix(line, "@object-format=")
		case strings.HasPrefix(line, "@"):
			return badBundle("it asks for %.40q", line)
		case strings.HasPrefix(line, "-"): // what it builds on; the objects are checked for that
			b.needs = true
		case b.tip != "":
			return badBundle("it holds more than one branch")
		default:
			b.tip, _, _ = strings.Cut(line, " ")
		}
	}
}

func (b *bundle) checkHeader(format, want string) error {
	if b.format = format; format != want && (want != "" || format != "sha256" && format != "sha1") {
		return badBundle("its objects are %.20q and the repository's %s", format, want)
	}
	if !isID(b.tip) {
		return badBundle("it names no commit")
	}
	return nil
}

// objects reads the packed objects.
func (b *bundle) objects() (io.Reader, error) {
	if _, err := b.file.Seek(b.pack, io.SeekStart); err != nil {
		return nil, onDisk(err)
	}
	return b.file, nil
}

func badBundle(format string, args ...any) error {
	return mgx.Errorf(mgx.KindRefused, "bad_result", "the run's result was refused: %s", fmt.Sprintf(format, args...))
}
