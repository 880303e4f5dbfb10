// Package guard keeps secrets out of what MGX stores, shows and sends.
//
// A [Redactor] knows the exact values of the secrets that this process can see
// (see [SecretsFromEnv]) and replaces them, whole, by [Mask]. It sits at the
// sinks: whoever writes events, journal entries, logs, prompts or errors passes
// the text through it last, so no caller on the way has to remember to.
//
// # Promises
//
//   - No known secret of [MinSecret] bytes or more is left in the output, neither
//     as it is nor escaped for JSON, Go, a URL (also in part), HTML or mail, in hexadecimal
//     (also with something between the bytes, and in dumps), in decimal bytes, in base64
//     (also twice) or base32 at any alignment, nor any of these over the ends of lines; nor
//     backwards, nor with space between its characters. Overlapping secrets leave no piece of each other.
//   - What was a JSON object, array or string is one afterwards, of the same shape.
//   - Text without a secret comes back as it was, after one pass over it and over each
//     other way to read it that there is (view.go).
//   - When in doubt it hides too much: a document whose very syntax spells a
//     secret is replaced as a whole.
//
// It does not guess: values that merely look like secrets stay, because a
// redactor that eats commit ids makes every log useless. It cannot recognise a
// secret that is spelt in two ways at once but for those, compressed or encrypted, or that was
// cut in two, so redact before cutting; [Redactor.Stream] is for
// text that comes in pieces, [Redactor.Cut] for text that others have cut. So who wants to
// carry a secret out by a spelling of their own can: what stops them is that boxes have
// none, and that nothing leaves one without being asked for.
//
// # Whose secrets
//
// [Redactors] keep the secrets of each workspace apart: what belongs to one has its own
// secrets hidden and those of the installation, never those of another. So nobody can
// take words out of what others write and read, nor learn by a guess what they keep. What
// is [Commonplace], as are all names and words of the contracts, nobody can have
// hidden at all, so that events keep their contract. Only what whoever runs the
// installation reads has everybody's secrets hidden.
//
// What something uses is hidden until the process ends, since that may hold it; what was
// only kept here is forgotten after a while ([Redactor.Remember]).
//
// # Where text leaves
//
//   - What is stored (events, journal, failures, inputs, signals): the store, before
//     anything is written. Agents get what was stored, so prompts are clean too;
//     webhooks, consumers, exports, backups, mgx show and mgx events read it.
//   - What programs print, before it is cut, kept on disk (tool.Workspace.Redact) or
//     streamed to watchers; and what models say, as they say it (team.Deps.Redact).
//   - Log lines (telemetry.Options.Redact) and traces (observe.Options.Redact), which
//     also send error reports. Labels of metrics have no free text.
//   - Recordings of model calls (cassette.Options.Redact).
//   - Diffs shown, and the error that a command ends with (cmd/mgx). All of cmd/mgx shares
//     one set of Redactors, so that what one part learns every other hides.
//   - Answers and problems of the API (api.Options.Redact) and pages of the console
//     (cmd/mgx), last: also those that show what was stored before a secret was known.
//   - Records of the gateway are events; what a client of it says to its model, and
//     hears, is the client's own and is passed on as it is.
//
// The files of a repository are the person's own: what is in them stays, also in the
// run's copy, in commits and in the objects of a backup. A test in cmd/mgx walks
// all of these with a secret that a run's program prints.
//
// # What else is here
//
// [Marker] and [Canary] are for prompts, policy decides on tool calls.
package guard
