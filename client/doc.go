// Package client talks to a running `mgx serve`.
//
// [Client.Stream] is the event log as it grows. It promises each matching event
// once, in order, from where it begins until the loop is left, over restarts of
// the server and cuts of the network: it connects again, resumes after the last
// event it received, and leaves out what it has seen. It holds one event at a
// time, so a loop that is slow only slows the stream. Where it cannot go on
// without a decision, it ends with an error that says why, most of all a
// [ResetError].
//
// What reads something and changes it says so: [Client.Seeing] notes what was read, and
// [Client.If] changes nothing that somebody else has changed since.
//
// Errors are *mgx.Error, with the code that the server gave where it gave one.
package client
