package suite

import (
	"bytes"
	"fmt"
	"os"
	"runtime/pprof"
	"strings"
	"testing"
	"time"
)

// Main runs a package's tests and then fails if a call left a goroutine of ours
// behind. By then all servers are closed, so what is left goes within moments or
// never.
func Main(m *testing.M) {
	code := m.Run()
	if code == 0 && !comes(func() bool { return goroutines() == "" }) {
		fmt.Fprintf(os.Stderr, "goroutines were left behind:\n\n%s\n", goroutines())
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

func goroutines() string {
	var all bytes.Buffer
	pprof.Lookup("goroutine").WriteTo(&all, 2)
	var left []string
	for stack := range strings.SplitSeq(all.String(), "\n\n") {
		ours := strings.Contains(stack, "mgx/internal/llm") || strings.Contains(stack, "net/http.(*persistConn)")
		if ours && !strings.Contains(stack, "suite.Main") {
			left = append(left, stack)
		}
	}
	return strings.Join(left, "\n\n")
}
