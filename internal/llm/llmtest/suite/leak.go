package suite

import (
	"bytes"
	"fmt"
	"os"
	"runtime/pprof"
	"slices"
	"strings"
	"testing"
	"time"
)

// Main runs a package's tests and then fails if a call left a goroutine of ours
// behind: of a provider, or of one of the other packages named. By then all servers
// are closed, so what is left goes within moments or never.
func Main(m *testing.M, packages ...string) {
	ours := append(packages, "mgx/internal/llm", "net/http.(*persistConn)")
	code := m.Run()
	if code == 0 && !comes(func() bool { return goroutines(ours) == "" }) {
		fmt.Fprintf(os.Stderr, "goroutines were left behind:\n\n%s\n", goroutines(ours))
		code = 1
	}
	os.Exit(code)
}

// comes waits for a condition that must come, and reports whether it did.
func comes(condition func() bool) bool {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(time.Minute); !condition(); <-tick.C {
		if time.Now().After(deadline) {
			return false
		}
	}
	return true
}

func goroutines(of []string) string {
	var all bytes.Buffer
	pprof.Lookup("goroutine").WriteTo(&all, 2)
	var left []string
	for stack := range strings.SplitSeq(all.String(), "\n\n") {
		ours := slices.ContainsFunc(of, func(name string) bool { return strings.Contains(stack, name) })
		if ours && !strings.Contains(stack, "suite.Main") {
			left = append(left, stack)
		}
	}
	return strings.Join(left, "\n\n")
}
