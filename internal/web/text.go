package web

import (
	"fmt"
	"maps"
)

// catalogue is all English that the console says, by key. Templates and code name
// keys; whoever translates it needs this and the files text_*.go.
func catalogue() map[string]string {
	all := map[string]string{}
	for _, part := range []map[string]string{frameText(), runText(), reviewText(), graphText(), listText(), moreText(), sampleText(), signInText(), homeText(), steerText(), settingsText(), placesText()} {
		maps.Copy(all, part)
	}
	return all
}

// t is the text of a key, with its verbs filled in. A key without a text panics:
// tests draw every page.
func (s *site) t(key string, args ...any) string {
	text, ok := s.words[key]
	if !ok {
		panic("web: there is no text " + key)
	}
	if len(args) == 0 {
		return text
	}
	return fmt.Sprintf(text, args...)
}

func frameText() map[string]string {
	return map[string]string{
		"app": "MGX", "skip": "Skip to content", "more": "More", "close": "Close", "main": "Main", "open": "Open", "back": "Back",
		"nav.home": "Home", "nav.tasks": "Tasks", "nav.approvals": "Approvals", "nav.executions": "Executions", "nav.agents": "Agents",
		"nav.events": "Events", "nav.usage": "Usage", "nav.queues": "Queues", "nav.audit": "Audit", "nav.settings": "Settings",
		"workspace": "Workspace", "person": "Signed in as", "owner": "Owner of this server",

		"time.now": "just now", "time.min": "%d min ago", "time.hour": "%d h ago", "time.day": "%d d ago", "time.in": "in %s",

		"copy": "Copy", "copied": "Copied", "copy.what": "Copy %s",
		"cli": "On the command line",

		"help": "Keys", "help.open": "Show the keys", "help.title": "Keyboard",
		"help.help": "Show this", "help.palette": "Find a page or an action", "help.search": "Search in this page", "help.go": "Go to %s",
		"help.down": "Next item", "help.up": "Previous item", "help.enter": "Open the item", "help.approve": "Go to the decision: approve",
		"help.reject": "Go to the decision: reject", "help.mark": "Mark: a run or a decision, to act on several at once; a file of a change, as viewed", "help.actions": "Actions of this page", "help.back": "Close, or go back", "help.live": "Go to what is new",
		"then": "then",

		"palette": "Find", "palette.label": "Find a page or an action", "palette.none": "Nothing is called so.", "palette.hint": "Ctrl K",

		"stream.connecting": "Connecting…", "stream.many": "Too many pages or programs of yours follow events at once, so this page does not update by itself. Close some, and it goes on.", "stream.lost": "The connection was lost. Trying again; nothing is missed.",
		"stream.live": "Live", "stream.over": "Ended", "stream.stale": "This page could not be brought up to date. Reload it.", "stream.out": "You are signed out. Reload to sign in again.",

		"error.title": "Something is wrong", "error.notfound": "Not found", "error.unknown": "Who are you?", "error.forbidden": "Not allowed",
		"error.conflict": "It has changed meanwhile", "error.request": "That does not work", "error.unavailable": "Not possible at the moment", "error.broken": "An error of the server",
		"error.internal": "This is our fault, and what you asked for was not done or not completely. The server's log says more under the id below.",
		"error.back":     "Go back", "error.request.id": "Request", "error.code": "Code", "error.kept": "Nothing was changed.",

		"status": "Status", "page.older": "Older", "page.newer": "Newest", "page.nav": "Pages",
		"empty.start": "How to start",
	}
}
