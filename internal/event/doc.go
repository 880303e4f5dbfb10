// Package event holds the contracts of the facts MGX records, and reads the log
// they are kept in.
//
// A contract is one file schemas/<type>.json: a JSON Schema (draft 2020-12) of
// the event's data with words, examples, its version in the $id, and in "x-mgx"
// its category, how long it is kept and how it is delivered. [Registry.Check]
// holds every event against its contract before it is stored, so what is in the
// log is valid; [Follow] reads the log and stays with it.
//
// # Open to readers, closed to writers
//
// The published schemas allow fields they do not name. A new optional field is
// a minor version, and a consumer that validates with the schema of an earlier
// minor must go on accepting what is written. Check closes every object that
// lists its properties before it compiles, because a writer that sends a field
// its own contract does not have is mistaken: that is how a misspelt or retired
// field is found.
package event
