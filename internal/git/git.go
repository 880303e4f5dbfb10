// Package git gives a run its own clone and brings its result back.
//
// The user's repository is read, never written, until delivery adds one branch
// to it. The run's repository lives in the data directory in two parts: the
// files, which agents may write, and the git directory, which they see read-only
// at .git and only MGX writes. So an agent can ask git anything and plant
// nothing: no hook, no filter, no config. Objects are borrowed read-only from
// the user's repository through alternates, which makes a clone cost one
// checkout. All git on the run's files runs inside the sandbox. Results cross
// back as a bundle, which is data, and the host checks every object of it
// (fetch.fsckObjects) before the branch appears.
package git
