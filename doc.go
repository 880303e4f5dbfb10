// Package mgx names the domain once: the words that every other package of MGX
// uses, with what each means in the product.
//
// A [Task] is what a person wants. A [Run] is one attempt at it, driven by one
// root [Execution] of a workflow. An execution is a list of recorded steps
// ([StepRecord]); work that has a record is never done again. Everything that
// happens is an [Event] at (stream, sequence); a run's row is the fold of its
// events by [Run.Apply], the same pure function that replay and the store use.
// What must happen together is one [Change], and a change commits whole or not
// at all.
//
// The package imports only the standard library, does no input or output and
// holds no state, so anything may import it.
package mgx
