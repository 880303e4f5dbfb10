// Package docker confines commands in containers of Docker or Podman, which it
// drives by their command line.
//
// Each command has a container of its own: no network, a read-only root that
// shows the same parts of the machine as a native box, no capabilities,
// no_new_privs, the user that runs MGX. Its first process is the init that native
// boxes have (package boxinit), which gets its descriptors through a socket that
// is shown to the container and answers once: so output, exit codes, limits, the
// filter of system calls, Landlock and the gate are those of native boxes, and a
// container ends when this process does, kill -9 included. What was being built at
// that moment is removed when the driver is next used, by its label. The engine's
// socket is shown to no container.
//
// What it lacks beside level full: no user namespace, unless the engine makes
// one, so that root's commands are root's, without capabilities; no overlays, so
// that caches are read-only or begin empty; and whoever may command the engine may
// command the machine. It takes some tenths of a second to build a container.
package docker
