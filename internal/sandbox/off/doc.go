// Package off runs commands without any walls, for people who typed
// --sandbox=off. A command can read and write whatever its user can, reach the
// network, and outlive its deadline by starting a session of its own.
//
// What is kept of the contract: a clean environment with a private home and
// directory for temporary files, one process group for each command that is
// killed at the deadline and at the end, exit codes, and the order and
// back-pressure of output. Limits and read-only mounts are not enforced.
//
// Nothing can be mounted, so mounts inside the workspace and the home directory
// are links there (a git directory is a gitfile), until the box is closed, and
// [sandbox.Box.Path] translates all others. An overlay is the host's own
// directory.
package off
