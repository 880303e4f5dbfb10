// Package oidc has people sign in at an OpenID provider: OpenID Connect Core 1.0,
// the authorization code flow with PKCE (RFC 7636). [Provider] is the contract
// access.Provider; [ReadConfig] reads which providers there are.
//
// # Promises
//
//   - A token counts when all of it was verified: signed by a key of the issuer with
//     an asymmetric algorithm of a fixed list, by the issuer that is configured, to the
//     letter, for this client and no other party, in time, for the attempt that began in
//     this browser (nonce), and with the access token that it came with (at_hash).
//   - The answer of a provider is taken for an attempt at that provider only (RFC 9207
//     where it says who it is, an address of its own in any case).
//   - An address counts when the provider says that it is the person's, and is in the
//     domains that are configured. Other claims decide nothing but the groups that were
//     asked for.
//   - What a provider says is never shown to people, nor are tokens written to the log.
//   - Time, size and redirects of what is fetched from a provider are bounded.
package oidc
