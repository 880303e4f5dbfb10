// Package access says who somebody is and what they may do. [Authenticator] makes
// an [Actor] of what a request proves itself with; [Engine] decides by Cedar
// policies whether an actor may do something. Who is a member of what is kept by a
// store and changed by the use cases of package app.
//
// # Promises
//
//   - There is no default password and no default secret. Of passwords, keys and
//     tokens only digests are kept; they are shown once and compared in constant
//     time.
//   - All ways in which a key or a token is not good look the same to whoever
//     shows it, but that it has expired. An unknown account takes as long as a
//     known one and is answered the same.
//   - Whoever is revoked is out at once in the process that did it, and within
//     [Fresh] in every other.
//   - What no policy permits is denied; forbid wins over permit; a policy that
//     fails to evaluate permits nothing. No policy of a workspace reaches beyond it.
//   - Everything is bounded: passwords hashed at once, and what is remembered of
//     keys, tokens and failed attempts.
package access
