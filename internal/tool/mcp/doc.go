// Package mcp lets agents call tools that live outside of MGX, on servers of the
// Model Context Protocol (https://modelcontextprotocol.io), as the operator set
// them up.
//
// A server is a stranger. What it promises about itself decides nothing:
//
//   - Its tools are offered only as the operator has seen them: name, description
//     and schema are pinned by their hash. A tool that is described otherwise is
//     refused, at the start of a run and whenever the server is connected again or
//     says that its tools changed. What is not pinned is not offered.
//   - The effect class of a tool is the operator's word. Of tools the operator does
//     not class, the effect is network, whatever the server's annotations say.
//   - Its instructions, titles and annotations never reach a model.
//   - It is offered nothing: no sampling, no elicitation, no roots.
//   - What it returns is text, cleaned and bounded; what is not text is named.
//   - A schema is used only when it refers to nothing outside of itself and its
//     validation is bounded.
//
// A server that is a program runs in a sandbox like the commands of the run, with
// the workspace read-only (an empty one, where the policy of the run hides files from
// programs) and the run's own network, which is none by default. One
// that is an address is called through a guard that looks at the address of each
// connection.
//
// A call that was begun when a process died is not repeated by this package: it
// does what it is told once. Each call carries a key in its metadata,
// "mgx/idempotency-key", which is the same for the same call of the same run.
package mcp
