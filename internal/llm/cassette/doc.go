// Package cassette records the HTTP exchanges of model calls in a file, and
// answers the same calls from it later, without a network and without a key.
//
// It sits below everything that knows about models, at the [http.RoundTripper]:
// [Recorder] passes calls on and keeps what came back, [Player] gives it back. So
// all dialects, and all that is built on them, are the very same code in both.
//
// # The file
//
// One JSON object a line, each whole before the next begins: a [Header] first,
// then [Session]s, [Run]s and [Exchange]s in the order in which they happened. A
// line is written in one piece, so a recording that was killed is readable up to
// its last whole exchange; Load passes over a torn last line, and Append cuts it.
//
// # Promises
//
//   - No request header is kept, of response headers only those named in
//     keptHeaders, and no credential of a URL. All text passes through the
//     redactor given, which is told every credential that a request carries.
//   - An answer's body comes back in the pieces in which it came, decompressed,
//     and ends as it ended: whole, reset, or silent until it was given up. Nothing
//     waits: the time that passed is added to a [Clock] instead.
//   - A request is the same as a recorded one when host, method, path and body are
//     the same; bodies are compared as JSON, so the order of their fields is
//     nothing. Where only readings of a clock differ (see mask), as in the output
//     of a test run, it is still the same. Equal requests are answered in their order.
//   - Any other request fails, with the difference to the nearest one recorded.
//     Nothing is ever sent.
//
// It does not know what is inside an answer, and so cannot find a secret that a
// model spells in several pieces.
package cassette
