// Package native confines commands with the kernel's own means, and needs
// nothing installed: the running binary starts itself again as the first
// process of new user, mount, pid, network, ipc, uts and cgroup namespaces. Package
// boxinit is that process; it comes with this package, before main.
//
// That process, the init of the box, opens the allow-listed parts of the host,
// pivots into an empty read-only tmpfs, hangs them there, gives up every
// capability, and forks the command with resource limits and no_new_privs. It
// then only reaps. Whatever way a command ends, its init ends, and the kernel
// kills everything that is left in the pid namespace: daemons and new sessions
// included. The init also ends when the process that started it does, because
// it holds the reading end of a pipe that only that process can write.
//
// Nothing runs between commands, and every command has a fresh /tmp and home.
// Commands of one box may run side by side, except that those which share an
// overlay take turns: the kernel allows one writer of an overlay.
//
// Where the kernel has them there are three more walls, which make level full: a
// filter of system calls and Landlock, both put on the command's process between
// fork and exec, and a cgroup that bounds all its processes together. A box whose
// plan has a wall that then cannot be built does not start.
//
// [NewLite] is for machines that forbid user namespaces: the same init without
// them, so that Landlock is what keeps files apart, the filter what keeps the
// network away, and the init what kills the rest of a command.
//
// What the kernel does not bound, the disk used in the workspace, package disk
// watches.
package native
