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

// Main runs a package's tests and then fails if a call left anything behind: a
// goroutine of ours, or a connection that nobody closed. By then all servers are
// closed, so what is left goes within moments or never.
func Main(m *testing.M) {
	code := m.Run()
	if left := leaked(30 * time.Second); code == 0 && left != "" {
		fmt.Fprintf(os.Stderr, "goroutines were left behind:\n\n%s\n", left)
		code = 1
	}
	os.Exit(code)
}

// leaked waits until no goroutine is left, and returns the stacks of those that
// stay for as long as patience lasts.
func leaked(patience time.Duration) string {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); ; <-tick.C {
		left := goroutines()
		if left == "" || time.Now().After(deadline) {
			return left
		}
	}
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
