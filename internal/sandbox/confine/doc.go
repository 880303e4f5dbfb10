// Package confine is what the drivers that have walls share: how a command in a
// box is planned, and how one runs to its end under an init of its own
// ([boxinit]), whoever starts that init: the native driver by itself, Docker or
// gVisor in a container of theirs.
//
// A [Plan] says what the init is to do: mounts, limits, filter of system calls,
// Landlock. [Run] hands it over, serves the gate, watches the deadline, the disk
// and ctx, and returns when everything of the command is dead. The life of an
// init hangs on a pipe that only this process can write, so that no kind of end
// of ours leaves a command behind.
package confine
