// Package config settles, once and before anything starts, what this process
// was told: one typed [Config] from flags, environment, the user's file and
// defaults, in that order of precedence.
//
// Each setting has one name: --max-turns is MGX_MAX_TURNS in the environment
// and "max-turns" in the file, $XDG_CONFIG_HOME/mgx/config.json. An empty
// variable counts as unset. The file is strict: a key that is unknown or given
// twice is refused, so that a typo never silently loosens a limit.
//
// # Promises
//
//   - A Config that Load returns is valid, and its paths are absolute.
//   - Every value knows where it came from, and [Config.Dump] says so.
//   - A refused value is a *mgx.Error that names its source: kind usage for
//     flags, kind config for the environment and the file.
//   - Nothing is read from the repository that agents work on, and nothing is
//     created or written.
//   - Running tools without a sandbox must be typed as a flag; no file and no
//     variable can switch it off.
package config
