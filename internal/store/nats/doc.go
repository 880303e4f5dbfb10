// Package nats has processes that share a PostgreSQL database wake each other
// through NATS: a [store.Waker].
//
// A hint is an empty message on one of two subjects, mgx.EPOCH.grown and
// mgx.EPOCH.unnumbered. The epoch is that of the log, so that a restored copy
// wakes nobody who works on the original. What a message holds is not looked at.
//
// NATS is a help, never a need. Nothing waits for it: the first connection is
// made beside the start of the program, and when one breaks, the next is tried
// until it stands, after pauses that grow to five seconds and are spread at
// random. The log says once that NATS cannot be reached, and once that it is back.
// A connection that is silent for six seconds counts as broken.
//
// Addresses may hold a password or a token. Neither is in any error or log line.
package nats
