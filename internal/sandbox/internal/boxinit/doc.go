//go:build linux && (amd64 || arm64 || riscv64)

// Package boxinit is the first process of a box: it builds the walls around
// itself by a [Plan] from outside, starts the command behind them, and then only
// reaps.
//
// It is this same program, started again under another name ([Name]). Importing
// the package is enough: it takes the process over while packages are initialised,
// before main and, what matters, before the larger packages of MGX. The linker
// initialises packages that depend on nothing big first; so this one imports no
// more than the standard library's os, syscall and what those have already: no
// fmt, no encoding/json, no golang.org/x/sys. What it saves is more than the
// walls cost, and a test in cmd/mgx says what may run before it.
//
// All that can be known outside is in the plan as the kernel wants it: the
// filter of system calls as a program, limits as numbers, descriptors by number.
package boxinit
