package web

// moreText is what the pages say that show the whole workspace: approvals, usage,
// the audit log, executions.
func moreText() map[string]string {
	return map[string]string{
		"approvals.title": "Approvals", "approvals.lead": "What runs wait for, the longest first. Each decision counts for exactly what is shown.",
		"mark.marked": "marked", "mark.this": "Mark (x)", "mark.of": "Mark: %s", "mark.none": "Nothing is marked, so nothing was done. Mark what you mean, with its box or with x.", "mark.many": "At most %d are acted on at once; mark fewer.", "mark.before": "Of what was marked, %d of %d were done before that.",
		"mark.cancel": "Cancel them…", "mark.cancel.text": "Each stops before its next step. What it did until then is kept, and nothing more is delivered.", "mark.cancel.do": "Cancel the marked runs", "mark.cancelled": "Asked to stop: %d. Each stops before its next step.",
		"mark.approve": "Approve them", "mark.approve.text": "Each exactly as it is shown.", "mark.approved": "Approved: %d.",
		"approvals.since": "waits since", "approvals.by": "asked for by %s",
		"approvals.empty": "Nothing waits for you", "approvals.empty.text": "A run that wants to do something which a person must allow, or has a question, appears here and stops until it is answered.",

		"usage.title": "Usage", "usage.lead": "What models were asked for and what it cost, in the last 30 days (UTC).", "usage.choice.of": "What is counted", "usage.choice.by": "What it is summed up by",
		"usage.of.cost": "Cost", "usage.of.tokens": "Tokens", "usage.by.model": "by model", "usage.by.project": "by project", "usage.by.role": "by agent", "usage.by.user": "by person",
		"usage.chart": "%s of the last 30 days %s: %s in all", "usage.data": "Show data", "usage.day": "Day", "usage.total": "All", "usage.rest": "%d others",
		"usage.rows.model": "Models", "usage.rows.project": "Projects", "usage.rows.role": "Agents", "usage.rows.user": "People", "usage.name.model": "Model", "usage.name.project": "Project", "usage.name.role": "Agent", "usage.name.user": "Person",
		"usage.unknown.model": "no model", "usage.unknown.project": "outside of projects", "usage.unknown.role": "no agent", "usage.unknown.user": "nobody in particular",
		"usage.calls": "Calls", "usage.calls.csv": "Each call as CSV",
		"burn.label": "%s of %s are left, from %s to %s", "burn.left": "Left", "burn.legend": "Left", "burn.even": "As much each day", "burn.ahead": "Where it goes",
		"usage.in": "Tokens in", "usage.out": "Tokens out", "usage.cost": "Cost", "usage.open": "Under way",
		"usage.empty": "Nothing was used in these days", "usage.empty.text": "Each call of a model is kept in the ledger with its tokens and its price, before it is made. What it adds up to appears here.",
		"usage.budgets": "Budgets", "usage.of": "of %s", "usage.reserved": "%s of it for calls under way", "usage.bar": "%s of %s is spent or set aside", "usage.left": "%s left",
		"usage.over": "Spent. Calls of models are refused.", "usage.ends": "Begins anew at %s", "usage.projection": "About %s by then.", "usage.between": "Between %s and %s in four of five cases.",
		"usage.exhausted": "Reaches its limit at %s.", "usage.noforecast": "Too little was spent yet for a forecast.",
		"usage.budget.workspace": "Workspace", "usage.budget.project": "Project", "usage.budget.user": "Person", "usage.budget.task": "Task", "usage.budget.run": "Run", "usage.budget.key": "Key",
		"usage.period.day": "daily", "usage.period.month": "monthly", "usage.period.absolute": "in all",
		"usage.nobudgets": "There is no budget", "usage.nobudgets.text": "With a budget, a call that could exceed it is refused before it is made.",

		"audit.title": "Audit", "audit.lead": "Who did what and was refused what in this workspace, the newest first. Nothing in it can be changed without it showing.",
		"audit.holds": "The log is as it was written: %s entries read over, %s of them held against %s signed checkpoints.", "audit.unsigned": "The log is as it was written: %s entries read over. Nothing is signed yet, which happens at the next checkpoint.", "audit.broken": "The log is not as it was written",
		"audit.erased": "The details of %s were erased, as signed erasures tell.", "audit.erasedbefore": "Those of %s are gone since before erasures were recorded: whether they were erased or taken away cannot be told.",
		"audit.long": "The log has %s entries.", "audit.verify": "Read it over: is it what was signed?",
		"audit.actor": "Actor", "audit.action": "Action", "audit.resource": "On what", "audit.decision": "Decision", "audit.time": "When", "audit.number": "No.", "audit.denied": "only what was refused",
		"audit.show": "Show", "audit.all": "Show all", "audit.none": "No entry matches", "audit.none.text": "Actors are chosen by their whole id, actions by a pattern such as key.*.",
		"audit.further": "None of the entries looked at so far match; older ones may.",

		"exec.title": "Executions", "exec.lead": "What the engine works through, step by step, the newest first. A run is one, and what it does at the same time are others.",
		"exec.workflow": "Workflow", "exec.run": "Run", "exec.started": "Started", "exec.took": "Took", "exec.parent": "Begun by", "exec.term": "Taken up", "exec.awaits": "Waits for",
		"exec.none": "No execution matches", "exec.none.text": "Look at another status.", "exec.all": "Show all executions",
		"exec.empty": "Nothing was executed yet", "exec.empty.text": "A run is carried out as an execution whose steps are recorded one by one, so that it goes on where it was after a crash.",
		"exec.steps": "Steps", "exec.steps.long": "Steps in order, with when each ran on the time of all", "exec.step": "Step", "exec.when": "When", "exec.attempts": "Attempts", "exec.bar": "from %s on, for %s",
		"exec.nosteps": "No step is recorded yet", "exec.nosteps.text": "Each step appears here when it begins.", "exec.children": "Executions that it began",
	}
}
