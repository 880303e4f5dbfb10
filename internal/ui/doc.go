// Package ui shows runs on a terminal: their progress as it happens, the
// summary at the end, and the tables and pages that the read commands print.
//
// # Promises
//
//   - Nothing that a model, a tool or a repository said reaches the terminal
//     with a control sequence in it. Every line is put together by one function
//     ([style.line]), which cleans and cuts whatever it is given.
//   - Without a terminal there are plain lines and no escape codes. Colour is off
//     as well when NO_COLOR is set or TERM is dumb.
//   - The live status line is never mixed with printed lines, is redrawn at most
//     twelve times a second, and is gone after [Progress.Close].
//   - Nothing here asks, waits for or reads anything. A terminal that does not
//     take output holds up [Progress.Event], but never [Progress.Delta].
package ui
