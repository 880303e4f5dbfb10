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
//
// # How a route is added
//
// Each group of routes has a file and a method that lists them (budgets.go is one
// to copy), and routes.go names that method. An entry is an [op]:
//
//	op("PATCH /api/v1/budgets/{id}", to("update", "budgets"), s.changeBudget, about{
//		ID: "changeBudget", Group: "Budgets", Short: "Change a budget",
//		Kind: "budget", Codes: codes{"bad_budget": 400},
//	})
//
// that is: the pattern; what it takes to be allowed; a function of a context and an
// input that returns an output or an error; and what readers of the OpenAPI
// document are told. Of the input, fields with the tags path, query and header are
// parameters and Body is the body; of the output, Body is the answer and fields
// with the tag header are headers. The tags doc, example, enum, minimum, maxLength
// and the like (see huma) are both the document and what a request is held
// against before the function runs, so the function only checks what tags cannot
// say. A field is required unless it has omitempty. In the function, [actor] is
// who asks, and [requestOf] is the request. Errors are *mgx.Error; those whose
// code is the operation's own are in Codes.
//
// What makes something says Made: it answers 201, and is done once for one
// Idempotency-Key, by what [app] and the store do in one act. An answer with a
// secret in it says Secret. What a stream or a file is answered by is a [plain]:
// a handler that writes, described by types all the same. A route for everybody or
// about oneself is named in matrix_test.go as well, and a kind of thing that
// paths name is made in its things.
package api
