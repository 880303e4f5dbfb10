// This file is laid over cmd/mgx for TestKilledInEveryWrite: the program is the
// one that users have, and can be told to die before it commits.

package main

import (
	"bytes"
	"os"
	"strconv"
	"sync"
	"syscall"

	"modernc.org/sqlite"
)

// MGX_CRASH names a file with a number in it: how many commits there are until the
// process kills itself, before the last of them. Without the file it does not.
func init() {
	file := os.Getenv("MGX_CRASH")
	if file == "" {
		return
	}
	var mu sync.Mutex
	count := func() int32 {
		mu.Lock()
		defer mu.Unlock()
		text, err := os.ReadFile(file)
		if err != nil {
			return 0
		}
		left, err := strconv.Atoi(string(bytes.TrimSpace(text)))
		if left--; err != nil || left == 0 {
			syscall.Kill(syscall.Getpid(), syscall.SIGKILL)
			select {} // until it arrives
		}
		next := file + ".next" // so that a reader finds a number, whenever it looks
		if os.WriteFile(next, []byte(strconv.Itoa(left)), 0o600) == nil {
			os.Rename(next, file)
		}
		return 0
	}
	sqlite.RegisterConnectionHook(func(conn sqlite.ExecQuerierContext, _ string) error {
		conn.(sqlite.HookRegisterer).RegisterCommitHook(count)
		return nil
	})
}
