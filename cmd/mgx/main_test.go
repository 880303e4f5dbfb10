package main

import (
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"mgx/internal/sandbox/native"
)

// TestMain lets the test binary be mgx itself, so that tests run whole
// processes: they can be killed, and their output and exit codes are real.
func TestMain(m *testing.M) {
	native.Main()
	testscript.Main(m, map[string]func(){
		"mgx": func() { os.Exit(run(os.Args[1:])) },
	})
}
