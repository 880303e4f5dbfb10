package web

import "maps"

// settingsText is what the pages of settings say.
func settingsText() map[string]string {
	all := map[string]string{}
	for _, part := range []map[string]string{settingsFrameText(), settingsPeopleText(), settingsProgramText(), settingsRulesText(), settingsDataText()} {
		maps.Copy(all, part)
	}
	return all
}

func settingsFrameText() map[string]string {
	return map[string]string{
		"set.title": "Settings", "book.settings": "Settings: forms, what is shown once, lists of things", "set.nav": "Settings", "set.first": "First", "set.next": "Next", "set.role": "Role",
		"set.nav.overview": "Workspace", "set.nav.you": "You", "set.nav.members": "Members", "set.nav.roles": "Roles", "set.nav.keys": "API keys", "set.nav.providers": "Providers",
		"set.nav.secrets": "Secrets", "set.nav.policies": "Policies", "set.nav.webhooks": "Webhooks", "set.nav.retention": "Retention", "set.nav.data": "Rights on data", "set.nav.health": "Health",
		"set.twice":        "This form was sent before, and what it makes was made then. Its secret was shown in that answer alone: if nobody has it, take back what was made, and begin anew.",
		"set.secret.moved": "Somebody else changed or removed this secret after you opened the page, so nothing was done. No page shows a value: fill yours in again if you still want it.",
		"set.badtime":      "Choose a time from the list.",
		"set.moved":        "Somebody else changed this after you opened the page, so nothing was done. What you filled in is still here, with what is there now below it. Look at both, and send it again if you still want it.",
		"set.now":          "There now:",

		"set.overview": "Workspace", "set.overview.lead": "Where you are, and what can be set here. You see the pages that your role lets you see.",
		"set.yourrole": "Your role here", "set.since": "Made", "set.rename": "Rename", "set.rename.name": "Name", "set.rename.do": "Rename it",
		"set.nowhere": "You are in no workspace", "set.nowhere.text": "Somebody has to invite you to one. Your account and your sessions are under You.",
		"set.quotas": "Quotas", "set.quota": "What", "set.quota.used": "Used", "set.quota.most": "At most", "set.quota.none": "no limit", "set.quotas.text": "What is grey is the bound of MGX itself. Whoever runs the installation sets less: mgx workspaces quota.",
		"set.others": "Your other workspaces", "set.others.go": "Go there",
		"set.workspace.new": "A new workspace", "set.workspace.hint": "It has members, keys, budgets and events of its own. You are its first admin.", "set.workspace.do": "Make it",

		"set.done.renamed": "The workspace has its new name.", "set.done.workspace": "The workspace is made, and you are its admin. Go there below.",
		"set.done.password": "The password is changed, and all your other sessions have ended.", "set.done.session": "The session has ended.",
		"set.done.role": "The role is changed. It holds from now on, and invitations that this member made and nobody used are taken back.", "set.done.removed": "They are out of the workspace, and so are their keys here, but for those of services.", "set.done.revoked": "The invitation lets nobody in any more.",
		"set.done.rolekept": "The role is kept. It holds from now on for everybody who has it.", "set.done.rolegone": "The role is gone.", "set.done.keygone": "The key is worthless from now on.",
		"set.done.secret": "The secret is kept.", "set.done.secretagain": "The secret has a new version. What uses it takes the new value from its next start on.", "set.done.secretgone": "The secret is forgotten, in all its versions.", "set.done.rotated": "The workspace has a new key, and every secret is sealed with it.",
		"set.done.webhook": "What was changed holds for events from now on.", "set.done.enabled": "Events are sent there again.", "set.done.disabled": "Nothing is sent there. The log keeps what happens meanwhile.", "set.done.retried": "It is tried again now.", "set.done.webhookgone": "The endpoint is gone, with its deliveries.",
		"set.done.retention": "That is how long events are kept from now on.", "set.done.erased": "The workspace is erased.", "set.done.persongone": "What was held on this person is erased.",
	}
}

func settingsPeopleText() map[string]string {
	return map[string]string{
		"set.you": "You", "set.you.lead": "Who you are here, where you are signed in, and your password.", "set.you.email": "Address", "set.you.waiting": "Invitations that wait for you: %d.", "set.you.waiting.do": "Look at them", "set.grantedby": "by their groups",
		"set.sessions": "Where you are signed in", "set.sessions.none": "You have no session: you came with a key or a token.",
		"set.session.browser": "A browser", "set.session.client": "A program", "set.session.this": "this one", "set.session.from": "from %s", "set.session.began": "since", "set.session.ends": "ends", "set.session.issuer": "vouched for by %s",
		"set.session.end": "End it…", "set.session.end.what": "Whoever uses it is signed out at once, and has to sign in again.", "set.session.end.do": "End this session",
		"set.password": "Password", "set.password.old": "Your password now", "set.password.new": "The new one", "set.password.again": "The new one once more", "set.password.do": "Change it", "set.password.text": "All your other sessions end.",
		"set.password.differ": "The new password was not typed twice alike. Type it again.",

		"set.members": "Members", "set.members.lead": "Who is in this workspace and as what. Roles says what each role may do.", "set.members.here": "In this workspace",
		"set.members.you": "you", "set.members.joined": "since", "set.members.role": "Change role…", "set.members.role.hint": "It holds at once. Invitations that they made and nobody used are taken back.", "set.members.role.do": "Give this role",
		"set.members.reset": "New password…", "set.members.reset.what": "Makes a link with which %s sets a password, once, within a day. All their sessions end when it is used. It can be made for members who are in no other workspace.", "set.members.reset.do": "Make a link",
		"set.reset.made": "A new password for %s", "set.reset.made.text": "Pass this link on by a way that you trust: whoever has it sets the password, once, until %s. It is shown only now.",
		"set.members.remove": "Remove…", "set.members.remove.what": "%s is out of this workspace at once: sessions see it no more, and keys and invitations of theirs here end. What they did stays in the log.", "set.members.remove.do": "Remove them", "set.members.data": "What is held on them",
		"set.invite": "Invite somebody", "set.invite.email": "Address", "set.invite.email.hint": "Only whoever has this address gets in. Without one, whoever has the link.", "set.invite.anybody": "Whoever has the link", "set.invite.expires": "Good for",
		"set.invite.do": "Make an invitation", "set.invite.text": "MGX sends no mail. You are shown a link to pass on.", "set.invited": "An invitation for %s", "set.invited.text": "Pass this link on by a way that you trust. It lets in one person, as %s, until %s, and is shown only now.",
		"set.open": "Open invitations", "set.open.none": "No invitation is open.", "set.open.by": "by", "set.open.made": "made", "set.open.ends": "ends", "set.open.revoke": "Take back…", "set.open.revoke.what": "The link lets nobody in any more.", "set.open.revoke.do": "Take it back",
		"set.time.86400": "a day", "set.time.604800": "7 days", "set.time.2592000": "30 days", "set.time.7776000": "90 days", "set.time.31536000": "a year", "set.time.0": "for ever",

		"set.roles": "Roles", "set.roles.lead": "What people may do. What no policy permits is denied, and nothing reaches beyond the workspace.",
		"set.role.builtin": "built in", "set.role.all": "everything", "set.role.own": "their own:", "set.role.nothing": "Nothing that does not hang on which thing it is.", "set.role.policy": "Policies", "set.role.policy.label": "Cedar policies", "set.role.description": "What it is for",
		"set.role.policy.hint": "A principal has user, role and workspace; a resource has kind, id, workspace and, if it is somebody's own, user.", "set.role.name": "Name", "set.role.name.hint": "2 to 50 small letters, digits, - and _, such as release-manager", "set.role.there": "There is a role %s already. Change it above, or take another name.",
		"set.role.new": "A role of your own", "set.role.make": "Make the role", "set.role.keep": "Keep it", "set.role.try": "What would it permit?", "set.role.would": "It would permit", "set.role.wasremoved": "Somebody else removed this role after you opened the page, so nothing was done. What you filled in is here: send it, and it makes the role anew.", "set.role.maynot": "Only an admin makes roles of the workspace's own.",
		"set.role.remove": "Remove…", "set.role.remove.what": "The role %s is gone. Nobody may have it for that: give its members another first.", "set.role.remove.do": "Remove the role",
	}
}

func settingsProgramText() map[string]string {
	return map[string]string{
		"set.keys": "API keys", "set.keys.lead": "With a key a program acts here: as far as its scopes go, and never further than whoever it stands for.", "set.keys.here": "Keys",
		"set.keys.none": "There is no key", "set.keys.none.text": "A program that is to use the API, or to call models through MGX, needs one.",
		"set.key.new": "A new key", "set.key.name": "What it is for", "set.key.name.hint": "Such as nightly report", "set.key.scopes": "What it may do", "set.key.scopes.hint": "models calls models; runs:read reads runs; * is all that you may do. Several with spaces.", "set.key.kinds": "A scope is a kind of thing, or a kind and an action such as runs:read. Kinds are %s; actions are create, read, update, delete, execute, approve, manage, connect.",
		"set.key.expires": "Good for", "set.key.more": "Models, a budget of its own", "set.key.models": "Only these models", "set.key.models.hint": "Globs such as openai/*, with spaces. Empty: all", "set.key.budget": "Budget in US dollars", "set.key.budget.hint": "What all its calls may cost together. Empty: no bound of its own", "set.key.period": "Which begins anew",
		"set.key.service": "It stands for a service, not for me", "set.key.service.hint": "It can only call models, and goes on when you leave.", "set.key.do": "Make the key", "set.key.text": "Its secret is shown once.",
		"set.key.made": "The key %s", "set.key.rotated": "The new secret of the key", "set.key.made.text": "This is the key itself. It is shown only now: put it where the program finds it.", "set.key.made.at": "made",
		"set.key.good": "good", "set.key.expired": "expired", "set.key.revoked": "revoked", "set.key.forservice": "a service", "set.key.forme": "stands for you", "set.key.for": "stands for", "set.key.forever": "never expires", "set.key.ends": "until", "set.key.unused": "never used", "set.key.used": "used", "set.key.only": "only %s", "set.key.limit": "at most %s", "set.key.old": "the secret before is good until",
		"set.key.rotate": "Rotate…", "set.key.overlap": "The secret it has now is good for", "set.key.rotate.do": "Make a new secret", "set.overlap.0": "no longer", "set.overlap.3600": "another hour", "set.overlap.86400": "another day", "set.overlap.604800": "another week",
		"set.key.revoke": "Revoke…", "set.key.revoke.what": "Whatever uses it is refused at once, for good.", "set.key.revoke.do": "Revoke the key",
		"set.period.daily": "each day", "set.period.monthly": "each month", "set.period.": "never",

		"set.secrets": "Secrets", "set.secrets.lead": "Names of what is sealed for this workspace, such as keys of providers. A value goes in and is never shown again, to nobody.", "set.secrets.here": "Kept here",
		"set.secrets.none": "No secret is kept", "set.secrets.none.text": "A secret is sealed with the key of the workspace. The file of models refers to it by its name, and each use is in the audit log.",
		"set.secret.new": "Keep a secret", "set.secret.name": "Name", "set.secret.name.hint": "Letters, digits, _ . and -, beginning with a letter. By a name that there is, it gets a new version.", "set.secret.value": "Value", "set.secret.value.hint": "At most 64 KB. A last line end is left out.", "set.secret.do": "Keep it",
		"set.secret.version": "version %s", "set.secret.by": "by", "set.secret.again": "Set anew…", "set.secret.again.hint": "It becomes the next version. What uses the secret takes it from its next start on.", "set.secret.remove": "Delete…", "set.secret.remove.what": "%s is forgotten, in all its versions. What needs it fails from its next start on. Nobody can bring it back.", "set.secret.remove.do": "Delete the secret",
		"set.rotate": "The key of the workspace", "set.rotate.text": "Every secret is sealed with it. The key ring, which wraps it, is renewed only where the server runs: mgx secrets rekey.", "set.rotate.ask": "Renew…", "set.rotate.what": "The workspace gets a new key and every secret is sealed anew with it. Values and names stay. Interrupted, it is asked for again.", "set.rotate.do": "Renew the key",

		"set.providers": "Providers", "set.providers.lead": "Where models of this workspace are had from, what each serves just now, what it costs, and how it does. A provider is named where the server runs: in its environment or its file of models.",
		"set.providers.none": "No provider is configured", "set.providers.none.text": "Whoever runs the server sets the variable of a provider, or names it in the file of models.", "set.provider.done": "reachable", "set.provider.failed": "not reachable", "set.provider.waiting": "reachable, a model left alone",
		"set.provider.local": "on this machine", "set.provider.from": "by", "set.provider.models": "Models (%d)", "set.provider.more": "And %d more: mgx models lists all.", "set.model.try": "Try a model", "set.model.try.model": "Model or routing policy", "set.model.try.hint": "Such as openai/gpt-5, or auto", "set.model.try.do": "Make one small call", "set.model.try.text": "It is a real call, which this workspace pays for.", "set.model.answered": "%s answered in %s.", "set.model.cost": "It cost %s.", "set.model.nocost": "What it cost is not known.", "set.model.streams": "streams", "set.model.nostreams": "does not stream", "set.model.tools": "calls tools", "set.model.notools": "did not call the tool", "set.model.usage": "says what was used", "set.model.nousage": "does not say what was used", "set.routing": "Routing policies", "set.routing.over": "over %s", "set.routing.then": "then %s", "set.routing.overrides": "%d overrides", "set.provider.nomodels": "It serves no model just now.",
		"set.model.window": "Window", "set.model.in": "In, per million", "set.model.out": "Out, per million", "set.model.can": "Can", "set.model.health": "In the last day", "set.model.free": "free", "set.model.unpriced": "price unknown",
		"set.model.open": "left alone", "set.model.halfopen": "tried again", "set.model.closed": "works", "set.model.calls": "%s calls, %s failed", "set.model.first": "first token after %s", "set.model.rate": "%.0f tokens/s", "set.model.uncalled": "not called",

		"set.webhooks": "Webhooks", "set.webhooks.lead": "Addresses that events of this workspace are sent to, signed, each at least once and in order.", "set.webhooks.here": "Endpoints", "set.webhooks.none": "Events are sent nowhere", "set.webhooks.none.text": "A server of yours can be told of what happens here: that a task ended, that somebody has to decide.",
		"set.webhook": "Endpoint", "set.webhook.new": "Add an endpoint", "set.webhook.url": "Address", "set.webhook.url.hint": "https, and not inside of the server's own network unless whoever runs it allows that. Once kept, only the host is shown; what ends with … stays as it is", "set.webhook.about": "What it is for", "set.webhook.types": "Types of events", "set.webhook.types.hint": "Such as task.* run.delivered, with spaces. Empty: all", "set.webhook.channels": "Channels", "set.webhook.channels.hint": "Such as project:ID, with spaces. Empty: all of the workspace", "set.webhook.do": "Add it",
		"set.webhook.on": "on", "set.webhook.off": "off", "set.webhook.failing": "failing", "set.webhook.every": "every type", "set.webhook.pending": "%s to send", "set.webhook.dead": "dead letters: %s", "set.webhook.why": "Nothing is sent: %s.",
		"set.webhook.made": "The secret of the endpoint", "set.webhook.rotated": "The new secret of the endpoint", "set.webhook.made.text": "Requests are signed with it; verify them. It is shown only now. docs/webhooks.md says how.",
		"set.webhook.id": "Id", "set.webhook.position": "Read up to", "set.webhook.left": "To send", "set.webhook.deadlabel": "Dead letters", "set.webhook.since": "Failing since",
		"set.webhook.test": "Send a test", "set.webhook.tested": "The endpoint took the test.", "set.webhook.tested.bad": "The endpoint did not take the test.", "set.webhook.disable": "Turn off…", "set.webhook.disable.what": "Nothing is sent there from now on. The log keeps what happens meanwhile.", "set.webhook.disable.do": "Turn it off", "set.webhook.enable": "Turn on…", "set.webhook.skip": "Leave out what happened in between", "set.webhook.enable.do": "Turn it on",
		"set.webhook.rotate": "New secret…", "set.webhook.rotate.what": "For a day requests are signed with both, so that the endpoint can be told.", "set.webhook.rotate.revoke": "The one before is worthless at once", "set.webhook.rotate.do": "Make a new secret", "set.webhook.wasremoved": "Somebody else removed this endpoint after you opened the page, so nothing was done. What you filled in is here: send it, and it makes the endpoint anew.", "set.webhook.remove": "Remove…", "set.webhook.remove.what": "The endpoint is gone, with its secrets and all its deliveries.", "set.webhook.remove.do": "Remove it", "set.webhook.change": "Change it", "set.webhook.keep": "Keep the changes",
		"set.webhook.lead": "Where it stands, what was sent there, and what came of it.",
		"set.deliveries":   "Deliveries", "set.deliveries.none": "Nothing that stands so was sent there.", "set.delivery.": "All", "set.delivery.pending": "pending", "set.delivery.delivered": "delivered", "set.delivery.dead": "dead", "set.delivery.tries": "attempts: %d", "set.delivery.next": "next", "set.delivery.retry": "Try again", "set.delivery.retryall": "Try all dead letters again (%s)", "set.attempt.status": "HTTP %d",
	}
}

func settingsRulesText() map[string]string {
	return map[string]string{
		"set.policies": "Policies", "set.policies.lead": "What decides on each call of a tool before it is made. Rules that deny win over rules that ask, and those over rules that allow; what no rule matches is asked about.",
		"set.modes": "Who approves", "set.mode.ask": "The run waits for a person where the policy asks.", "set.mode.auto": "Plans need no person. What the policy denies stays denied.", "set.mode.never": "Nobody is waited for. What the policy would ask about is refused.",
		"set.policies.here": "Built-in policies", "set.policy.hash": "Runs record it as",
		"set.try": "Try a call", "set.try.policy": "Policy", "set.try.tool": "Tool", "set.try.tool.hint": "Such as shell, edit, fetch, or mcp__server__tool", "set.try.arguments": "Arguments", "set.try.arguments.hint": "As JSON. What a built-in tool touches follows from them.", "set.try.more": "Other facts, and a policy of your own",
		"set.try.effect": "Effect", "set.try.effect.known": "That of the built-in tool", "set.try.command": "Command line", "set.try.paths": "Paths it touches", "set.try.hosts": "Hosts it reaches", "set.try.role": "Role of the agent", "set.try.untrusted": "The model was given untrusted text", "set.try.planopen": "No plan is approved yet", "set.try.outside": "It acts beyond the sandbox", "set.try.own": "It delivers the run's own branch",
		"set.try.text": "Rules to try instead", "set.try.text.hint": "In the form in which policies are written. Empty: the policy above", "set.try.do": "Try it", "set.try.note": "No call is made.", "set.try.badjson": "The arguments are not JSON. They look like {\"command\": \"go test ./...\"}.", "set.try.notool": "Name the tool.",
		"set.verdict.allow": "It would be made.", "set.verdict.ask": "Somebody would be asked.", "set.verdict.deny": "It would be refused.", "set.verdict.unanswered": "The policy asks nobody, so it is refused.",
		"set.projects": "What projects have set",

		"set.retention": "Retention", "set.retention.lead": "For how long events are kept, by category, on the whole installation. Old events go once a day.",
		"set.retention.types": "%d types", "set.retention.default": "as contracts say:", "set.retention.days": "days", "set.retention.range": "may be %d to %d", "set.retention.keep": "Days", "set.retention.set": "%d days", "set.retention.unset": "as contracts say", "set.retention.do": "Keep them so", "set.retention.text": "An empty field is as contracts say. A longer time holds for all events, a shorter one for those from now on.",
		"set.retention.bad": "Events of %s are kept for %d to %d days, not %q. Empty: as contracts say.",
	}
}

func settingsDataText() map[string]string {
	return map[string]string{
		"set.data": "Rights on data", "set.data.lead": "What is done when somebody asks for what is held on them, or for its erasure.",
		"set.data.out": "Everything of this workspace", "set.data.out.text": "Lines of JSON that are readable without MGX: tasks, runs, events, members, keys without their secrets, and the files of runs. Secrets are not in it. That it was taken is in the audit log.", "set.data.out.do": "Download",
		"set.data.people": "A person", "set.data.person": "Id of the person", "set.data.person.hint": "Members lists ids. Who is in no workspace any more is found by the id in the audit log.", "set.data.person.do": "Show what is held",
		"set.data.erase": "Erase this workspace", "set.data.erase.text": "Its tasks, runs, keys, secrets and webhooks go for good, and nobody is its member. Accounts of people stay. Ids, times, sums of money and the proofs of the audit log stay.", "set.data.plan": "What would go?",
		"set.data.would": "Of %s would go, for good:", "set.data.tasks": "Tasks", "set.data.runs": "Runs", "set.data.members": "Memberships", "set.data.keys": "Keys", "set.data.secrets": "Secrets", "set.data.webhooks": "Webhooks", "set.data.projects": "Projects", "set.data.entries": "Entries of the audit log without their words", "set.data.running": "%d runs are under way. Cancel them first, or wait for their end.",
		"set.data.confirm": "To erase it, type %s", "set.data.confirm.hint": "Nobody can bring it back. Backups and exports from before hold it still.", "set.data.erase.do": "Erase the workspace",

		"set.person": "A person", "set.person.back": "All members", "set.person.out.text": "Everything that is held on them, in every workspace, as lines of JSON: the account, memberships, sessions, keys without their secrets, the tasks that they wrote, and the events that name them.",
		"set.person.erase": "Erase this person", "set.person.would": "This would go, for good, in every workspace:", "set.person.workspaces": "Memberships", "set.person.sessions": "Sessions", "set.person.identities": "Identities elsewhere", "set.person.invitations": "Invitations", "set.person.tasks": "Tasks they wrote", "set.person.mentions": "Tasks of others that name them",
		"set.person.taskstoo": "Also the words of those tasks", "set.person.taskstoo.hint": "With all runs of them, which must have ended.", "set.person.erase.do": "Erase them",

		"set.health": "Health", "set.health.lead": "How this server stands, as /health/status tells programs.", "set.health.ready": "The server does its work.", "set.health.unready": "The server is not ready. What failed below says why.",
		"set.health.checks": "Tried just now", "set.health.check": "What", "set.health.detail": "Why", "set.health.server": "This server", "set.health.version": "Version", "set.health.started": "Started", "set.health.database": "Database", "set.health.schema": "Schema", "set.health.of": "of %d",
		"set.health.head": "Events", "set.health.lag": "%s not read yet", "set.health.streams": "Open streams", "set.health.workers": "Runs worked on", "set.health.noworkers": "none here", "set.health.looked": "Looked for work", "set.health.queue": "Due", "set.health.waiting": "%s waiting", "set.health.oldest": "The oldest is due for", "set.health.disk": "Free disk", "set.health.least": "at least %s", "set.health.wakes": "Wake-ups by", "set.health.signed": "Audit log signed", "set.health.backup": "Last backup", "set.health.never": "never", "set.health.models": "Models that were called",
	}
}
