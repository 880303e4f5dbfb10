// Package api is MGX over HTTP. [Server] is an http.Handler whose routes are one
// list, in routes.go.
//
// # Promises
//
//   - Every failure is a problem of RFC 9457 with a stable code, also for paths
//     and methods that do not exist, and before a stream has begun. The detail
//     never names internals.
//   - Each route says what it takes to be allowed to use it, and [app.Access] decides
//     that before its handler runs; whatever it works on is of the workspace of
//     whoever asks. A route that says nothing keeps the server from starting.
//   - Who is revoked is out, of streams too, within seconds.
//   - Requests that name another host, or come from pages of another origin, are
//     refused, so that no web page can use a server on the reader's own machine.
//   - Everything is bounded: headers, bodies, frames, subscriptions, connections,
//     and the time a write may take.
//   - Streams lose nothing: they are subscriptions of [event.Hub], and every event
//     comes with the token to resume after it.
//   - On shutdown no new work is taken, answers that have begun are finished, and
//     streams end with the code that says to come back, spread over a moment so
//     that not everybody comes at once.
package api
