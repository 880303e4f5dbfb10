// Package telemetry makes the process speak: one line a fact, in text or JSON,
// through [log/slog].
//
// # Promises
//
//   - Every line carries the ids that its context knows ([With]), at the top
//     level, whatever groups the logger has open.
//   - Nothing reaches the writer that has not passed Redact: message, keys,
//     strings, errors, bytes, Stringers, structs, groups at any depth, also when
//     attached to a child logger. Redact is asked when a line is written, so a
//     secret learnt later is hidden in lines of older loggers too.
//   - A value that panics while it is rendered spoils its own attribute only.
//   - One line is one Write.
//
// The package imports only the standard library; what counts as a secret is the
// caller's to say.
package telemetry
