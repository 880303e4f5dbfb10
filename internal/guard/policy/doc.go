// Package policy decides on tool calls: allow, ask a person, or deny.
//
// A [Policy] is a text that people can read: one rule a line, each a verdict and
// the conditions that must all hold (docs/policy.md has the whole grammar).
// [Facts] say what a call would do, as far as it is known before it is made.
// [Policy.Decide] holds the one against the other. What it promises:
//
//   - Of all rules that match, deny wins over ask and ask over allow; their order
//     means nothing. When none matches, a person is asked. So a rule that is added
//     to deny or to ask never allows more.
//   - An allow rule must cover all that a call does: every path, every host, every
//     simple command of a line of shell, every effect. A deny or ask rule needs to
//     match one of them only. What cannot be told counts for asking.
//   - Untrusted content in the context, confidential content in it and an effect
//     beyond the sandbox, all three together, are never allowed without a person,
//     whatever the rules say.
//   - A text means the same wherever it is read: parsing and printing are inverse,
//     nothing in it is ignored, and reading it looks at nothing else.
//
// Lists of commands are a courtesy to people who watch, not a wall: a program can
// do by another name what a list forbids it. The wall is the kernel's, in package
// sandbox; what a policy keeps from programs it says by [Policy.Kept], for the
// sandbox to hide.
package policy
