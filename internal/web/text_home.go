package web

// homeText is what the first page and the form for a task say.
func homeText() map[string]string {
	return map[string]string{
		"home.title": "Home", "home.lead": "What waits for you, what runs, and what it costs.", "home.all": "Show all",
		"first.title": "Three steps to a first result", "first.model": "A model", "first.model.text": "The server calls models of a provider that is named where it runs, such as by OPENAI_API_KEY or OLLAMA_HOST in its environment.", "first.model.do": "See which are there",
		"first.project": "A repository", "first.project.text": "On the machine of the server, whoever runs it gives this workspace each code base, once:", "first.task": "A task", "first.task.text": "Say in words what you want done. A team of agents plans it, does it, checks it and delivers a branch for you to look at.",
		"home.empty": "Nothing was asked for yet", "home.empty.text": "A task is something you want done in a repository, in words. A team of agents plans it, does it, checks it and delivers a branch. For example:",
		"home.empty.maynot": "Tasks of this workspace appear here. Your role lets you see them, not create them.",
		"home.health.ready": "The server can do its work", "home.health.unready": "The server cannot do its work", "home.health.check": "%s: %s", "home.health.workers": "%d of %d places to work are taken", "home.health.due": "%s wait for their turn, the oldest for %s", "home.health.nodue": "Nothing waits for its turn", "home.health.disk": "%s of disk are free", "home.health.backup": "Last backup", "home.health.nobackup": "No backup lately", "home.health.more": "All of it",
		"home.asks": "Waits for you", "home.asks.others": "Waits for a decision", "home.decide": "Decide", "home.decide.on": "Decide: %s",
		"home.now": "Running now", "home.now.none": "Nothing runs at the moment.", "home.recent": "Recent results",
		"home.spend": "Spent today (UTC)", "home.spend.calls": "Calls %s, tokens %s", "home.spend.open": "%s more is set aside for calls under way",
		"home.budget.of": "%s of %s", "home.budget.none": "No budget is set. With one, spending stops at its limit:",
		"home.budget.workspace.day": "Workspace, daily", "home.budget.workspace.month": "Workspace, monthly", "home.budget.workspace.absolute": "Workspace, in all",
		"home.budget.user.day": "Yours, daily", "home.budget.user.month": "Yours, monthly", "home.budget.user.absolute": "Yours, in all",
		"home.budget.near": "%[3]s: %[1]s of the budget of %[2]s is spent.", "home.budget.over": "%s: the budget is spent, so calls of models are refused.",

		"help.create": "Create a task; at a file of a change, comment on it", "task.new": "New task", "task.example": "Add a /healthz endpoint with a test.", "task.title": "New task", "task.lead": "Say what you want done. A team of agents plans it, does it, checks it and delivers a branch for you to look at.",
		"task.words": "What should be done", "task.words.hint": "What is to be different, and how one sees that it is. Name files and commands where you know them.",
		"task.project": "Project", "task.project.choose": "Choose a project", "task.repo": "Or a directory of this machine", "task.repo.hint": "You own this server's data, so any repository on it will do.",
		"task.branch": "Branch to deliver", "task.branch.hint": "Empty: one is named after the task.",
		"task.model": "Model or routing policy", "task.model.hint": "Such as provider/model. Empty: as the project or the workspace has it.",
		"task.budget": "Budget in US dollars", "task.budget.hint": "The run stops there. Empty: as the project has it.",
		"task.approve": "Who approves", "task.approve.default": "As the project has it", "task.approve.ask": "Ask me about what the policy does not allow", "task.approve.auto": "Go on without asking, within the policy", "task.approve.never": "Never ask: refuse what would need leave",
		"task.checks": "Checks", "task.checks.hint": "One command a line, such as go test ./... Empty: the project's own.",
		"task.attach": "Attachments", "task.attach.hint": "Files for the agents to read, such as a log or a specification: 64 MB each at most. An archive is unpacked.", "task.attach.sending": "sending", "task.attach.failed": "it was not sent; choose it again", "task.attach.large": "larger than 64 MB", "task.attach.remove": "Remove",
		"task.plan": "Plan first", "task.plan.hint": "Show me a plan to approve before anything is changed, however small the task.",
		"task.more": "Model, budget and checks", "task.do": "Start", "task.estimate": "Estimate", "task.wrong": "Nothing was started",
		"task.empty": "Say what should be done.", "task.noproject": "Choose the project that it is about.", "task.badbudget": "The budget is an amount of US dollars such as 2 or 0.50, not “%s”.",
		"task.used":   "This form has begun a task already. Send it again to begin another one.",
		"task.maynot": "You cannot create tasks here", "task.maynot.text": "Your role in this workspace, %s, lets you look at tasks, not create them. An admin of the workspace can give you another role.",
		"task.look": "Look again", "task.noprojects": "This workspace has no project yet", "task.noprojects.text": "A task is done in the repository of a project. On the machine of the server, whoever runs it adds one, and then it can be chosen here:",
		"task.maynot.short": "Your role lets you look at tasks, not create them.",

		"estimate.title": "What it may take", "estimate.none": "Nothing to go by yet", "estimate.none.text": "Fewer than three runs have ended that are like this one, so there is no honest estimate.",
		"estimate.time": "Time", "estimate.cost": "Cost", "estimate.tokens": "Tokens", "estimate.range": "%s to %s",
		"estimate.median":                  "The large figure is the middle one; nine of ten lay in the range.",
		"estimate.done":                    "%s of %s reached their goal.",
		"estimate.unpriced":                "Some used a model without a known price, so they cost more than this.",
		"estimate.basis.project_and_model": "By %s runs of this project with this model.", "estimate.basis.project": "By %s runs of this project, with whichever model.",
		"estimate.basis.model": "By %s runs with this model, in other projects too.", "estimate.basis.workspace": "By %s runs of the whole workspace: none are closer to this.",
	}
}

// steerText is what a run's page says about reaching it while it is under way.
func steerText() map[string]string {
	return map[string]string{
		"run.say": "Say something to this run", "run.say.hint": "The agent that leads hears it before its next turn.", "run.say.do": "Say it",
		"run.pause": "Pause", "run.pause.text": "The run stands still before its next model turn or tool call, until somebody has it go on. Its deadline does not move.", "run.pause.why": "Why (may be empty)", "run.pause.do": "Pause this run",
		"run.continue": "Continue", "run.paused": "paused", "run.paused.by": "Paused by %s. It stands still before its next model turn or tool call.", "run.paused.why": "Paused by %s: %s",
		"told.said": "%s said: %s", "told.paused": "Paused by %s", "told.paused.why": "Paused by %s: %s", "told.continued": "Continued by %s",
	}
}
