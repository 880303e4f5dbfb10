package web

func runText() map[string]string {
	return map[string]string{
		"tab.timeline": "Timeline", "tab.plan": "Plan", "tab.diff": "Diff", "tab.checks": "Checks", "tab.review": "Review", "tab.artifacts": "Artifacts",
		"tab.routing": "Routing", "tab.security": "Security", "tab.events": "Events",

		"run.views": "Views of this run", "run.model": "Model", "run.elapsed": "Elapsed", "run.cost": "Cost", "run.of": "of %s", "run.budget": "%s of the budget of %s is spent",
		"run.tokens": "Tokens", "run.tokens.exact": "%s in, %s out", "run.in": "in", "run.out": "out", "run.calls": "Calls", "run.turn": "turn", "run.again": "Ask again", "run.turns": "turns", "run.tool": "tool", "run.tools": "tools",
		"run.started": "Started", "run.phase": "in %s", "run.unpriced": "A model was used whose price is not known", "run.fork.of": "fork of another run at %d",
		"run.cancel": "Cancel", "run.cancel.text": "The run stops as soon as it can. What it has done stays as it is; its branch is not delivered.", "run.cancel.why": "Why (may be empty)", "run.cancel.do": "Cancel this run",
		"run.delivered": "Delivered", "run.changes": "commits %d, files %d", "run.why": "Cancelled: %s",
		"run.replaying": "This shows the run as it was after event %d of %d.", "run.now": "Show it as it is now",
		"run.older": "Show what was before", "run.new": "%d new", "run.end": "Go to the newest", "run.before": "before", "run.then": "Show the run as it was after event",
		"run.nothing": "Nothing has happened yet", "run.nothing.text": "The run waits for a worker. What it does appears here as it comes.",
		"run.erased": "Erased", "run.erased.text": "The words of this run were erased. What it cost and when it ran is still known.",

		"ask.title": "Waiting for you", "ask.tool": "Tool", "ask.agent": "Agent", "ask.paths": "Files it would touch", "ask.hosts": "Hosts it would reach", "ask.why": "Why you are asked",
		"ask.label": "Careful", "ask.untrusted": "The agent had read what others wrote: %s", "ask.words": "Words for the agent", "ask.words.hint": "What should be different? Needed when you reject.",
		"ask.answer": "Your answer", "ask.send": "Send", "ask.approve": "Approve", "ask.reject": "Reject", "ask.rest": "Approve, and the same for the rest of the run", "ask.rest.means": "“The same for the rest of the run” allows: %s",
		"ask.hash": "This decides on exactly", "ask.maynot": "Your role lets you see this, not decide on it.",

		"plan.files": "Files", "plan.risks": "Risks", "plan.verify": "How it is checked", "plan.none": "There is no plan", "plan.none.text": "Small tasks are done without one. Ask for a plan with --plan.",
		"checks.none": "No checks have run yet", "checks.none.text": "The project's own checks run before the change and after each round of it.",
		"review.none": "Not reviewed yet", "review.none.text": "When no check fails, another agent that has not written the change looks at it.",
		"kept.none": "Nothing was made yet", "kept.none.text": "Patches, plans, reports and what the run was given appear here.", "kept.name": "Name", "kept.kind": "Kind", "kept.size": "Size", "kept.digest": "Digest",
		"routing.none": "No model was called yet", "routing.none.text": "Each call is listed here, with the model that it went to and why.",
		"routing.model": "Model", "routing.agent": "Agent", "routing.why": "Why", "routing.took": "Took", "routing.cached": "kept answer", "routing.attempts": "%d attempts", "routing.named": "asked for by name", "routing.passed": "not %s: %s",
		"security.none": "Nothing to tell", "security.none.text": "Nothing was asked, refused or reached out for.",
		"security.walls": "What confines this run", "security.sandbox": "Sandbox", "security.off": "off: commands run as the user", "security.on": "on", "security.policy": "Policy of tool calls", "security.builtin": "built in",
		"security.approve": "Approvals", "security.hosts": "Hosts that commands reach", "security.nohosts": "none", "security.denied": "Tool calls denied", "security.rules": "The rules",
		"events.none": "No events here", "events.none.text": "Events of the run appear as they are recorded.",
		"then.none": "Only the present has a difference", "then.none.text": "The files of a moment before are not kept as a difference. Fork the run there to have them.",
		"diff.none": "No files were changed", "diff.none.text": "What the run changes appears here from its first checkpoint on.",
		"diff.files": "Changed files", "diff.count": "Files %d", "diff.viewed": "Viewed", "diff.nolines": "There are no lines to show.", "diff.cut": "The difference is longer than this page shows. The artifact changes.patch has all of it.",
		"cut": "Only the first %d are shown.",

		"told.asked": "Asked for: %s", "told.forked": "Forked from %s at event %d", "told.words": "%s", "told.limit": "A command came to its limit: %s", "told.network": "Network %s: %s %s", "told.provider": "%s failed (%s): %s",
		"told.fallback": "Calls go to %s instead of %s (%s)", "told.suspicious": "%s: %s", "told.kept": "Kept %s (%s)", "told.done": "Done in %s", "told.cancelled": "Cancelled. %s",
		"told.plan": "Plan", "told.checks": "Checks, round %s", "told.review": "Review, round %d", "told.ask": "Asks: %s", "told.by": "by %s", "told.wait": "Waits for %s", "told.wait.decision": "Waits for a decision", "told.wait.question": "Waits for an answer",

		"tool.asked": "asked", "tool.silent": "It printed nothing.", "tool.exit": "exit code", "tool.whole": "Open whole",
		"log.find": "Find", "log.more": "%d more lines", "log.left": "⋯ %s more lines, which are not shown here.",
		"inspect": "The selected item", "inspect.event": "event %d", "inspect.output": "Output", "inspect.json": "The event as it is kept", "inspect.time": "Time",
		"replay": "Replay", "replay.of": "of %s events", "replay.go": "Show", "fork": "Fork from event %d",
	}
}

func listText() map[string]string {
	return map[string]string{
		"all": "all", "tasks.title": "Tasks", "tasks.lead": "What was asked for, newest first.", "tasks.search": "Search tasks", "tasks.task": "Task",
		"tasks.none": "No task matches", "tasks.none.text": "Look for other words, or at another status.", "tasks.none.do": "Show all tasks",
		"tasks.empty": "No tasks yet", "tasks.empty.text": "A task is something you want done in a repository, in words. A team of agents plans it, does it, checks it and delivers a branch.",
	}
}
