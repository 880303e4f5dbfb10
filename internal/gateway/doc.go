// Package gateway offers the models that MGX can call to other programs, in the
// dialects that their SDKs speak: OpenAI Chat Completions, OpenAI Responses and
// Anthropic Messages. [Server] is an http.Handler; routes.go lists what it does.
//
// # Promises
//
//   - Whatever fails before an answer has begun has the status and the error form
//     of the caller's dialect. A stream that fails later ends with that dialect's
//     error event and a broken connection, never as if it were whole.
//   - A request for a provider of the caller's own dialect is sent on as it came,
//     with only the model replaced and what must be set set, and the answer comes
//     back byte for byte. For any other it is translated; what would lose its
//     meaning on the way is refused, not dropped. See decode.go.
//   - Money is reserved before a call and settled exactly once, before the caller
//     is told that the answer is whole; also when the caller goes away, which
//     closes the call to the provider at once.
//   - A key sees its own workspace and the models it may use, nothing else.
//     Credentials, cookies and trace contexts of callers go no further, and no
//     header of a provider comes back.
//   - Everything is bounded: bodies, calls at once and per minute for each key,
//     and the time that a slow reader may take.
package gateway
