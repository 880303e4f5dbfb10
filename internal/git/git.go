// Package git gives a run its own clone and brings its result back.
//
// The user's repository is read, never written, until delivery adds one branch
// to it. The run's repository lives in the data directory in two parts: the
// files, which agents may write, and the git directory, which they see read-only
// at .git and only MGX writes. So an agent can ask git anything and plant
// nothing: no hook, no filter, no config. Objects are borrowed read-only from
// the user's repository through alternates, which makes a clone cost one
// checkout. All git on the run's files runs inside the sandbox. Results cross
// back as a bundle, which is data, and the host checks every object of it before
// the branch appears.
//
// A run directory holds
//
//	work/     the run's files, at /workspace in the box; its .git is a mount point
//	git/      the git directory, at /workspace/.git
//	outputs/  whole outputs of tools, for others to mount
//	state/    for the box itself
//	empty     a file that hides others in the box
//
// # Promises
//
//   - Nothing in the user's repository changes, whenever MGX is killed, except
//     that [Deliver] adds one branch, its reflog and a pack of its objects.
//   - No hook, filter, textconv, external diff, file system monitor, credential
//     helper or network transport runs, whoever configured it.
//   - Files in the run are, byte for byte, as the repository stores them: no line
//     ending, encoding, ident or filter conversion. LFS pointers stay pointers,
//     submodules stay empty directories, modes and links are kept.
//   - A checkpoint holds every file that git does not ignore, and survives until
//     the run directory is deleted; nothing here is ever garbage-collected.
//     Of a repository that was made inside the run's files, the files count and
//     its own .git does not. Names that git cannot store (.git in any disguise)
//     and what lies in a submodule's directory stay outside of checkpoints.
//   - Output and time of every git command are bounded.
//
// The user must not prune objects that a run which is still going borrows:
// git's own garbage collection keeps what is reachable from any branch or reflog.
//
// Git 2.32 or later is needed, on the host and, the same one, in the box.
package git
