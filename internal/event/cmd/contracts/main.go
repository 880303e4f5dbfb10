// Contracts writes what is generated from the event contracts: the reference and
// the migration guide, the AsyncAPI document, the TypeScript types, and the lock
// with the digest of every released version. It refuses contracts whose version
// does not say what changed in them, and says what to do.
//
//	go run ./internal/event/cmd/contracts [-check] [DIR]
//
// DIR is the root of the repository, the current folder if it is not given. With
// -check it writes nothing and fails when a file is not current.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"mgx/internal/event"
)

func main() {
	check := flag.Bool("check", false, "write nothing; fail when a file is not current")
	flag.Parse()
	root := "."
	if flag.NArg() > 0 {
		root = flag.Arg(0)
	}
	if err := run(root, *check); err != nil {
		fmt.Fprintln(os.Stderr, "contracts:", err)
		os.Exit(1)
	}
}

func run(root string, check bool) error {
	registry, err := event.NewRegistry()
	if err != nil {
		return err
	}
	documents, err := registry.Documents()
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(documents)) {
		path := filepath.Join(root, filepath.FromSlash(name))
		now, err := os.ReadFile(path)
		switch {
		case err == nil && bytes.Equal(now, documents[name]):
			continue
		case check:
			return fmt.Errorf("%s is not current; run: make docs", name)
		}
		if err := write(path, documents[name]); err != nil {
			return err
		}
		fmt.Println("wrote", name)
	}
	return nil
}

func write(path string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, content, 0o644)
}
