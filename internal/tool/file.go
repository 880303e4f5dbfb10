package tool

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"
)

// maxEditable bounds the files that edit and apply_patch take, and what write
// writes, in bytes. Larger ones are not source text.
const maxEditable = 8 << 20

// open opens a regular file for reading. A pipe or device, which could block or
// act, is refused; a directory is an error that says so.
func open(p place) (*os.File, fs.FileInfo, error) {
	f, err := p.root.OpenFile(p.name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err == nil && info.IsDir() {
		err = failf("%s is a directory. Use list to see what is in it.", p)
	} else if err == nil && !info.Mode().IsRegular() {
		err = failf("%s is not a regular file (%s) and cannot be opened.", p, info.Mode().Type())
	}
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return f, info, nil
}

// document is the text of a file that is about to be changed.
type document struct {
	bom  string
	body string
	mode fs.FileMode // permission bits
}

const bom = "\uFEFF"

// load reads a whole text file. Its error satisfies fs.ErrNotExist when there is
// no file, and is else ready for the model.
func load(p place) (document, error) {
	f, info, err := open(p)
	if errors.Is(err, fs.ErrNotExist) {
		return document{}, err
	}
	if err != nil {
		return document{}, fileError(p, err)
	}
	defer f.Close()
	if info.Size() > maxEditable {
		return document{}, failf("%s has %s; files above %s are not edited. Use the shell tool.", p, size(info.Size()), size(maxEditable))
	}
	b, err := io.ReadAll(io.LimitReader(f, maxEditable+1))
	if err != nil {
		return document{}, fileError(p, err)
	}
	if bytes.IndexByte(b, 0) >= 0 || len(b) > maxEditable {
		return document{}, failf("%s is a binary file (%s) and is not edited as text.", p, size(info.Size()))
	}
	d := document{body: string(b), mode: info.Mode().Perm()}
	if rest, ok := strings.CutPrefix(d.body, bom); ok {
		d.bom, d.body = bom, rest
	}
	return d, nil
}

// save replaces the file in one step: readers see the old text or the new, never
// a part. It makes missing parents and returns those it made, outermost first.
// It does not sync; a run's files are restored from its checkpoints.
func save(p place, d document) (made []string, err error) {
	dir := path.Dir(p.name)
	if made, err = makeParents(p.root, dir); err != nil {
		return made, err
	}
	temp := path.Join(dir, ".mgx-"+rand.Text()[:16])
	if err := create(p.root, temp, d); err != nil {
		return made, err
	}
	if err := p.root.Rename(temp, p.name); err != nil {
		p.root.Remove(temp)
		return made, err
	}
	return made, nil
}

func create(root *os.Root, name string, d document) error {
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, d.mode)
	if err != nil {
		return err
	}
	_, err = io.WriteString(f, d.bom+d.body)
	err = errors.Join(err, f.Chmod(d.mode), f.Close()) // chmod: the umask may have taken bits away
	if err != nil {
		root.Remove(name)
	}
	return err
}

func makeParents(root *os.Root, dir string) (made []string, err error) {
	if dir == "." {
		return nil, nil
	}
	if info, err := root.Stat(dir); err == nil && info.IsDir() {
		return nil, nil
	}
	if made, err = makeParents(root, path.Dir(dir)); err != nil {
		return made, err
	}
	if err := root.Mkdir(dir, 0o755); err != nil {
		return made, err
	}
	return append(made, dir), nil
}

// newFileMode is given to files that did not exist.
const newFileMode fs.FileMode = 0o644

// size says a number of bytes as people do.
func size(n int64) string {
	switch {
	case n < 1<<10:
		return fmt.Sprintf("%d B", n)
	case n < 1<<20:
		return fmt.Sprintf("%.1f KB", float64(n)/(1<<10))
	case n < 1<<30:
		return fmt.Sprintf("%.1f MB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%.1f GB", float64(n)/(1<<30))
}

// count says "1 line", "2 lines".
func count(n int, noun string) string {
	switch {
	case n == 1:
		return "1 " + noun
	case strings.HasSuffix(noun, "y"):
		return fmt.Sprintf("%d %sies", n, strings.TrimSuffix(noun, "y"))
	case strings.HasSuffix(noun, "ch"):
		return fmt.Sprintf("%d %ses", n, noun)
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
