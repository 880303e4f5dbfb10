// Bundle makes the files of the console that browsers load, in
// internal/web/static, from the TypeScript and CSS in internal/web/ui: minified,
// with their compressed forms beside them. The same sources make the same bytes.
//
//	cd tools && go run ./bundle          make them
//	cd tools && go run ./bundle -check   fail when what is there is not what would be made
package main

import (
	"bytes"
	"compress/gzip"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"

	"github.com/andybalholm/brotli"
	"github.com/evanw/esbuild/pkg/api"
)

const (
	sources = "../internal/web/ui"
	output  = "../internal/web/static"
)

func main() {
	check := flag.Bool("check", false, "compare with what is there instead of writing")
	flag.Parse()
	made, err := bundle()
	if err == nil && *check {
		err = compare(made)
	} else if err == nil {
		err = write(made)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// bundle returns the files by name.
func bundle() (map[string][]byte, error) {
	result := api.Build(api.BuildOptions{
		EntryPoints: []string{sources + "/app.ts", sources + "/app.css"},
		Outdir:      output, Bundle: true, Format: api.FormatESModule, Target: api.ES2022, Charset: api.CharsetUTF8,
		MinifyWhitespace: true, MinifyIdentifiers: true, MinifySyntax: true, LegalComments: api.LegalCommentsNone, LogLevel: api.LogLevelWarning,
		Supported: map[string]bool{"nesting": false},
	})
	if len(result.Errors) > 0 {
		return nil, fmt.Errorf("the console cannot be bundled; esbuild has said why")
	}
	icon, err := os.ReadFile(sources + "/icon.svg")
	if err != nil {
		return nil, err
	}
	made := map[string][]byte{"icon.svg": icon}
	for _, f := range result.OutputFiles {
		made[filepath.Base(f.Path)] = f.Contents
	}
	return compressed(made)
}

// compressed adds the compressed forms of files.
func compressed(made map[string][]byte) (map[string][]byte, error) {
	all := maps.Clone(made)
	for name, b := range made {
		var err error
		if all[name+".gz"], err = gzipped(b); err != nil {
			return nil, err
		}
		if all[name+".br"], err = brotlied(b); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func gzipped(b []byte) ([]byte, error) {
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(b); err != nil {
		return nil, err
	}
	err = w.Close()
	return out.Bytes(), err
}

func brotlied(b []byte) ([]byte, error) {
	var out bytes.Buffer
	w := brotli.NewWriterLevel(&out, brotli.BestCompression)
	if _, err := w.Write(b); err != nil {
		return nil, err
	}
	err := w.Close()
	return out.Bytes(), err
}

func write(made map[string][]byte) error {
	for name, b := range made {
		if err := os.WriteFile(filepath.Join(output, name), b, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// compare holds what is there against what was made, except for the gzip form,
// whose bytes hang on the version of Go.
func compare(made map[string][]byte) error {
	for name, b := range made {
		if filepath.Ext(name) == ".gz" {
			continue
		}
		there, err := os.ReadFile(filepath.Join(output, name))
		if err != nil || !bytes.Equal(there, b) {
			return fmt.Errorf("internal/web/static/%s is not what its sources make; run: make web", name)
		}
	}
	return nil
}
