// Package gvisor confines commands in sandboxes of gVisor, which it starts by the
// program runsc, as bundles of the Open Container Initiative that it writes.
//
// A command of such a box makes no system call to the kernel of the machine: a
// kernel in user space, the sentry, answers them, and itself may make few. So what
// the other levels take away call by call, because the kernel might have a hole
// there, is not reached at all. As in package docker each command has a sandbox of
// its own whose first process is the init of native boxes, which gets its
// descriptors through a socket; the sandbox ends when this process does, kill -9
// included. Processes of runsc are bounded by a cgroup of MGX, where it may make
// one.
//
// What it does not have: a gate to allowed hosts, because the network is the
// sentry's own and nothing can be passed out of it; overlays; and a count of
// processes, except of the sentry's. It takes half a second to begin, and calls
// cost several times what they cost without.
package gvisor
