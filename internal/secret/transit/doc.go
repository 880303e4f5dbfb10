// Package transit has the transit engine of a HashiCorp Vault server wrap the keys of
// workspaces. The key that wraps is made in Vault and never leaves it: this process has
// what Vault unwraps for it, one key of a workspace at a time, as long as a use takes.
//
// # Promises
//
//   - A box is bound to what it is of, by associated data and, where the key in Vault is
//     derived, by its context as well. That Vault really binds is tried before any box is
//     returned: a server too old for associated data would leave it out without a word.
//   - A call ends within Options.Timeout, tries included, and no answer is read past 64
//     KiB. Only what may pass is tried again, and only wrapping, unwrapping and asking
//     about the token are ever asked for, which may be asked for twice.
//   - The token goes to the address of the options and nowhere else: redirects are not
//     followed, and without TLS nothing leaves this machine. Neither token nor secret id
//     is in an error, a log line or anything else that the package returns.
//   - What cannot be done is said with a code: CodeUnreachable, CodeSealed, CodeAnswer
//     mean Vault, and may pass; CodeToken, CodeRefused, CodeKey mean somebody has to act;
//     secret.CodeRing means the box.
//
// Three endpoints are all it takes, so there is no client library:
// https://developer.hashicorp.com/vault/api-docs/secret/transit,
// …/auth/token and, to sign in, …/auth/approle or …/auth/cert. Rewrapping in Vault (transit/rewrap) knows no
// associated data, so a key changes hands by unwrapping and wrapping.
package transit

import "mgx"

// Codes of errors.
const (
	CodeConfig      = "bad_vault_file"    // the file that says where Vault is
	CodeUnreachable = "vault_unreachable" // no answer; it may pass
	CodeSealed      = "vault_sealed"      // somebody has to unseal it
	CodeAnswer      = "vault_answer"      // an answer that makes no sense
	CodeToken       = "vault_token"       // expired, revoked or missing
	CodeRefused     = "vault_refused"     // its policies do not allow it
	CodeKey         = "vault_key"         // the key in Vault is not as it must be
)

// MayPass reports whether an error means that Vault is away, so that the same may work
// later without anything being changed here.
func MayPass(err error) bool {
	return mgx.IsCode(err, CodeUnreachable) || mgx.IsCode(err, CodeSealed) || mgx.IsCode(err, CodeAnswer)
}
