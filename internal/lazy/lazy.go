// Package lazy puts off what a program may never need. Every command in a sandbox
// begins with this program being started again, so what packages do before main
// is paid each time.
package lazy

import (
	"regexp"
	"sync"
)

// Regexp compiles an expression when it is first asked for. The expression is a
// constant of the program: one that does not compile panics then.
func Regexp(expr string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expr) })
}
