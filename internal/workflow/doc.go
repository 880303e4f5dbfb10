// Package workflow runs ordinary Go functions durably.
//
// A workflow is a deterministic function of its input and of what its steps
// return. Whatever touches the world happens inside a [Step]; its result is
// recorded, under a name, in the same transaction as the events it caused, and a
// step with a record is never run again. When a process dies, another claims the
// execution and calls the function from the start: recorded steps return at once
// what they returned before, and the first one without a record is where work
// goes on.
//
// # Promises
//
//   - At most one worker at a time: an execution is worked on under a lease with
//     heartbeats; every write is fenced by the lease's term, so a worker that
//     lost it can record nothing.
//   - A recorded step is never run again. One caught between its effect and its
//     record by a crash runs once more.
//   - Sleeping and awaiting hold nothing: the function is unwound, the lease
//     given back, and only a row remains until a time or a signal makes it due.
//   - What people send while it is under way is heard where the function asks for it
//     ([Poll]), and at the same place in every replay.
//   - Cancel and deadlines end the context of the running step, then the
//     execution, and are recorded.
//   - Replay is exact: each step's input is digested, and an execution whose code
//     decides differently from its journal fails with the first difference
//     instead of going on.
//
// # What a workflow function must not do
//
// Read clocks, random numbers, files or environment outside a step; start
// goroutines except by [Parallel]; recover from panics that are not its own
// (sleeping unwinds by a private panic).
//
// # How it fits together
//
// [Engine.Drive] and [Engine.Serve] claim due executions (drive.go) and work on
// each in a claim (claim.go, lease.go): one call of the function under one lease.
// The function sees the claim through a [Context]. Every call it makes looks in
// the journal first (journal.go); only what has no record there is done and
// recorded (step.go, wait.go, child.go, version.go, parallel.go). A function is
// left early by one private panic, for a reason that the claim's context carries
// as its cause (unwind.go). [Engine.Replay] is a claim without a lease: it looks,
// and never does (replay.go).
package workflow
