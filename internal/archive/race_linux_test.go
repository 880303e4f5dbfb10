package archive

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// Somebody swaps a directory for a link to another place, again and again, while
// archives are unpacked through it.
func TestSwappedDirectory(t *testing.T) {
	t.Parallel()
	outside, dir := t.TempDir(), t.TempDir()
	real, link := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	if err := os.Mkdir(real, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, link); err != nil {
		t.Fatal(err)
	}
	exchange := func() error {
		return unix.Renameat2(unix.AT_FDCWD, real, unix.AT_FDCWD, link, unix.RENAME_EXCHANGE)
	}
	if err := exchange(); err != nil {
		t.Skipf("this file system cannot exchange a directory and a link: %v", err)
	}
	var swaps sync.WaitGroup
	stop := make(chan struct{})
	defer func() { close(stop); swaps.Wait() }()
	swaps.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			_ = exchange() // the next one may succeed
		}
	})
	for i := range 3000 {
		_ = unpack(t, dir, tarOf(t, member{name: fmt.Sprintf("a/f%d", i), text: "x"}), Defaults) // it may fail; it must not follow
	}
	if got := tree(t, outside); len(got) > 0 {
		t.Errorf("%d files landed outside", len(got))
	}
}
