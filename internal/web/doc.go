// Package web is the console: the pages by which people watch runs, decide what
// runs wait for, and see what was done and what it cost.
//
// Read routes.go for the pages, page.go for how one is made, and text.go for all
// that it says. The elements that make pages live are TypeScript in ui/, which
// tools/bundle makes into static/; the binary embeds that.
//
// # Promises
//
//   - A page arrives whole and is of use without any script: links, forms and
//     details do the work. Elements then attach to the event stream and ask for the
//     same parts of the same pages again, so what is seen live is what a reload shows.
//   - Whatever models, tools or repositories said is text. Pages are made by
//     html/template alone; Markdown, terminal colours and syntax colours become nodes
//     and classes here, never markup of theirs. Links in it are followed to nowhere but
//     what is allowed.
//   - The policy of content allows scripts and styles of this origin from files with
//     a digest in their names, and nothing inline. Scripts have no way to make markup of
//     a string: Trusted Types are required and there is no policy of them.
//   - No request leaves the origin.
//   - Every page is decided upon by [mgx/internal/app], for the actor whom Options.Who
//     tells; this package decides nothing. What changes something is a POST, which
//     pages of other origins cannot make.
//   - Lists come by pages, long texts fold, and a run with however many events shows
//     a bounded part of them.
package web
