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
//     as it is nor escaped for JSON or Go, escaped for a URL, in hexadecimal, or in base64
//     at any alignment. Overlapping secrets leave no piece of each other.
//   - What was a JSON object, array or string is one afterwards, of the same shape.
//   - Text without a secret comes back as it was, after one pass over it.
//   - When in doubt it hides too much: a document whose very syntax spells a
//     secret is replaced as a whole.
//
// It does not guess: values that merely look like secrets stay, because a
// redactor that eats commit ids makes every log useless. It cannot recognise a
// secret that was cut in two, so redact before cutting.
package guard
