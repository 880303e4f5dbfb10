package web

import "maps"

// placesText is what the pages say about agents, events, queues and templates of
// tasks.
func placesText() map[string]string {
	all := map[string]string{}
	for _, part := range []map[string]string{agentsText(), eventsText(), queuesText(), templatesText(), bookText()} {
		maps.Copy(all, part)
	}
	return all
}

func agentsText() map[string]string {
	return map[string]string{
		"agents.title": "Agents", "agents.lead": "Who is in the team, what each is for, and what it did and cost in the last %d days.", "agents.now": "%d at work",
		"agents.tools": "%d tools, at most %d turns in one conversation", "agents.notools": "No tools, at most %d turns in one conversation",
		"agents.runs": "Runs done", "agents.runs.done": "%s of %s",
		"agents.empty": "There are no agents", "agents.empty.text": "The team is built in, so this is a fault of the server.",
		"agents.others": "Others", "agents.others.text": "Called models under a role that is none of the team's, such as through the gateway.",

		"agent.now": "At work", "agent.figures": "The last 30 days (UTC)", "agent.figures.none": "It has called no model in these days.", "agent.chart": "What %s cost day by day: %s in all",
		"agent.turns": "Newest turns", "agent.answered": "%s of the newest %s calls of models were answered.", "agent.median": "Half of those took less than %s.", "agent.open": "Under way: %s.",
		"agent.turns.none": "No turn yet", "agent.turns.none.text": "Each call of a model that this agent makes is kept in the ledger and appears here.",
		"agent.may": "What it may", "agent.model": "Model", "agent.model.text": "The one that the run asks for. A routing policy may name another for this role.",
		"agent.files": "Files", "agent.files.write": "Reads and changes those of the run's own clone.", "agent.files.read": "Reads those of the run's own clone. They are mounted read-only.", "agent.files.none": "None: it sees the task and an overview of the repository.",
		"agent.programs": "Programs", "agent.programs.may": "Runs them in the run's sandbox.", "agent.programs.none": "Runs none.",
		"agent.decides": "Who decides", "agent.decides.text": "The run's policy, on each call of a tool: deny, ask a person, or allow.", "agent.most": "Most turns in one conversation",
		"agent.tools": "Tools", "agent.kept": "It has not:", "agent.told": "What it is told",
	}
}

func eventsText() map[string]string {
	return map[string]string{
		"events.title": "Events", "events.lead": "Everything that happened in this workspace and that you may see, the newest first.",
		"events.type": "Type", "events.of": "Of a run, task …", "events.person": "Person", "events.from": "From (UTC)", "events.to": "To (UTC)", "events.text": "Words in it",
		"events.show": "Show", "events.all": "Show all", "events.gist": "What", "events.run": "Run", "events.position": "No.", "events.erased": "Its words were erased.",
		"events.following": "Follows what happens", "events.paused": "Paused", "events.pause": "Pause", "events.resume": "Go on", "events.new": "Paused, %d new", "events.bound": "The newest %d are shown.",
		"events.nomatch": "No event matches", "events.nomatch.text": "Types are patterns such as tool.* and ids are whole. A person's events are those of runs that they asked for, and those that name them.",
		"events.further": "None of the events looked at so far match; older ones may.",
		"events.empty":   "Nothing has happened yet", "events.empty.text": "Whatever is done is kept as an event that nothing changes later, and appears here.",

		"event.unknown": "There is no contract of this type any more.", "event.before": "Before it", "event.after": "After it", "event.facts": "What it is",
		"event.id": "Event", "event.version": "Version", "event.stream": "Stream", "event.task": "Task", "event.project": "Project", "event.execution": "Execution", "event.cause": "Caused by", "event.correlation": "Belongs to", "event.trace": "Trace", "event.owner": "Told by",
		"event.data": "Data", "event.whole": "The whole event as JSON", "event.schema": "Schema of this version", "event.schema.raw": "The schema by itself", "event.schema.none": "There is no schema of this version any more.",
	}
}

func queuesText() map[string]string {
	return map[string]string{
		"queues.title": "Queues", "queues.lead": "What waits for its turn, what is worked on, and what was given up.",
		"queues.of.runs": "Runs", "queues.of.executions": "Executions", "queues.of.approvals": "Decisions", "queues.of.calls": "Calls of models", "queues.of.deliveries": "Webhook deliveries",
		"queues.text.runs": "Runs that wait to be taken up.", "queues.text.executions": "Work whose time has come, and what sleeps until a time or a signal.", "queues.text.approvals": "Runs that wait for a person.",
		"queues.text.calls": "Calls under way, for which money is set aside.", "queues.text.deliveries": "Events on their way to addresses outside.",
		"queues.waiting": "Waiting", "queues.working": "At work", "queues.asleep": "Asleep", "queues.retried": "Tried again", "queues.dead": "Given up", "queues.oldest": "The oldest has waited for %s.", "queues.idle": "Nothing waits.",
		"queues.hooks": "Endpoints that did not get everything", "queues.hooks.none": "Every endpoint has got everything.", "queues.endpoint": "Endpoint", "queues.failing": "Fails since", "queues.off": "disabled",
		"queues.readers": "Readers of the log", "queues.readers.text": "Parts of MGX that must see every event, in all workspaces. You see them because you keep this installation.", "queues.readers.none": "No part of MGX reads the log by itself here.",
		"queues.name": "Reader", "queues.behind": "Events behind", "queues.moved": "Moved on", "queues.gap": "Events %s to %s were removed before it had read them.",
		"queues.hook": "What an endpoint did not get", "queues.reader": "What a reader has given up", "queues.next": "Next attempt", "queues.since": "Since", "queues.do": "What to do",
		"queues.again": "Try again", "queues.again.of": "Try again: %s", "queues.again.all": "Try all again", "queues.again.all.text": "All %s that were given up get all their attempts again, the first one now.", "queues.again.all.do": "Try all of them again",
		"queues.discard": "Discard", "queues.discard.of": "Discard %s", "queues.discard.text": "The reader will never see this event. The event itself stays in the log.", "queues.discard.do": "Discard it for good",
		"queues.letters.none": "Nothing was given up", "queues.letters.none.text": "What fails is tried again for a while. What fails each time is kept here until somebody has it tried once more.",
	}
}

func templatesText() map[string]string {
	return map[string]string{
		"template.title": "Templates", "template.lead": "What is asked for again and again, with what is the same each time filled in.",
		"template.own": "Of this workspace", "template.builtin": "Built in", "template.every": "Every project", "template.one": "The project that is chosen above",
		"template.empty": "The workspace has no template of its own", "template.empty.text": "Fill in the form for a new task and keep it as a template, for everybody who may create tasks here.",
		"template.begin": "Begin with", "template.all": "All templates", "template.keep": "Keep this as a template", "template.name": "Name", "template.moved": "Somebody else changed this template after you opened the page, so it was not kept. What you filled in is still here. Look at the template again, then keep yours under another name, or send it again to replace theirs.", "template.hint": "The words, the model, the budget, who approves and the checks are kept. One of the same name is replaced.",
		"template.for": "For", "template.do": "Keep it", "template.kept": "It is kept as a template. Nothing was started.", "template.wrong": "The template was not kept",
		"template.delete": "Delete", "template.delete.of": "Delete the template %s", "template.delete.text": "Nobody in this workspace can begin with it any more. Tasks that were stay.", "template.delete.do": "Delete this template",
	}
}

func bookText() map[string]string {
	return map[string]string{
		"book.charts": "Charts", "book.burns": "What is left of a budget", "book.health": "How the server stands", "book.one": "One day", "book.full": "Most days", "book.long.many": "Many, with long names", "book.burn.over": "More than there is",
	}
}
