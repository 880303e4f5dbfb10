// Package leftover names what a process makes outside of itself such that others
// can tell later whether it is still there to remove it.
package leftover

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
)

// Name begins with prefix and says which process this is; what follows a last
// dash is for the caller to add.
func Name(prefix string) string { return prefix + ourselves() }

var ourselves = sync.OnceValue(func() string { return fmt.Sprintf("%d-%s-%s-", os.Getpid(), started("self"), namespace()) })

// namespace is that of the numbers of processes here.
var namespace = sync.OnceValue(func() string {
	pids, _ := os.Readlink("/proc/self/ns/pid")
	return strings.Trim(strings.TrimPrefix(pids, "pid:"), "[]")
})

// Gone reports whether name is one of Name's and its process has ended. A number
// that another process has by now does not matter: it began later. Of a process in
// another pid namespace, as of a container that shares cgroups or a directory with us,
// nobody knows here, so what it left stays.
func Gone(prefix, name string) bool {
	rest, found := strings.CutPrefix(name, prefix)
	f := strings.Split(rest, "-")
	if !found || len(f) != 4 || f[2] != namespace() {
		return false
	}
	_, err := strconv.ParseUint(f[0], 10, 32)
	return err == nil && started(f[0]) != f[1]
}

// started is when a process began, in ticks since the machine did; "" when there
// is no such process.
func started(pid string) string {
	b, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return ""
	}
	f := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	if len(f) < 20 {
		return ""
	}
	return f[19]
}
