/*
Mgx is a team of AI agents that does software work on your repositories.

	mgx demo                     the main job on a sample repository, no key needed
	mgx run "TASK" --repo DIR    the main job on yours
	mgx help                     all commands

# A tour of the code

This is the order in which to read it, from what is stored to what people see.

Package mgx, the root, names the domain: typed identifiers, the events and their
payloads, money, errors with their kinds, and [mgx.Run], the fold of a run's
events. [mgx.Change] is everything that becomes true together. Start with doc.go,
then change.go.

Package internal/event holds the contracts: one JSON Schema for each event type.
Nothing enters the log without being valid against its contract. Follow reads the
log from a position and goes on as it grows, without gap or duplicate.

Package internal/store is the only SQL. It applies changes, each whole or not at
all, in one goroutine that commits many of them at once; it numbers events, folds
runs, gives out leases and keeps the ledger. The suite in storetest says what any
database must do, and SQLite and PostgreSQL both run it; docs/adr/0006 says how the
latter numbers the log, and 0010 how it splits it; wakes.go how its processes may wake
each other, which store/nats does. What is spent is in ledger.go and
money.go, which 0011 explains; the root's budget.go and forecast.go have its words.

Package internal/workflow runs ordinary Go functions durably. Read doc.go for the
promises, step.go for the heart: find the record of a step, or do it and record it
with its events.

Package internal/llm is the path of one model call: choose, reserve, call, retry or
fall back, settle. Read router.go, then route.go for the choice, call.go for what follows
a failure, admit.go for breakers and limits, attempt.go for one attempt; state.go is what
the routers of a process share.
Its sub-packages speak the wire dialects, four of them: openai has Chat Completions
and Responses, anthropic Messages, gemini generateContent (docs/providers.md).
llmtest has the scripted model of the demo, a server in every dialect, and the
faults that tests inject; oracle, a module of its own, holds ours against the SDKs.
redis has the routers of several processes share limits and kept answers.

Package internal/llm/cassette records what passes between the dialects and the
network, and plays it; docs/replay.md says what a replay promises, cassette.go here
connects it.

Package internal/sandbox says what confines the programs that agents run; native
does it with Linux namespaces, seccomp, Landlock and cgroups, by running this same
binary again as a helper (internal/boxinit, which begins before main); docker and
gvisor have the same helper begin their containers (package confine). Its egress is
the proxy by which commands reach the hosts that somebody allows (docs/network.md). The
attacks in sandboxtest are programs; docs/sandbox.md has what came of them.

Package internal/git makes the clone that a run works in and brings its result
back as data.

Package internal/tool holds the tools: each a Go file beside the words that
describe it to models. Its mcp calls tools of servers outside; read doc.go there
for what such a server gets, and set.go for a call's way (docs/mcp.md).

Package internal/archive unpacks what others made; attachments.go here gives it to
a run (docs/attachments.md).

Package internal/agent is one agent's loop: a pure function of what its host
returns, which is why it can be journaled and replayed.

Package internal/team is the story of a task as a workflow: prepare, triage, plan,
approve, implement, check, review, deliver. Read run.go and change.go; host.go ties
the agent's loop to the workflow's steps, and steer.go what people say to it meanwhile. permit.go decides on each tool call by the
rules of package internal/guard/policy (read its doc.go and policy.go; docs/policy.md is
for people), and veil.go keeps from programs what they keep from agents. The roles are Markdown files in roles/.

Where a text came from stays with it: label.go in the root, in internal/agent and in
internal/team, and docs/adr/0016. Package internal/guard marks, cleans and hides what
passes by: read its doc.go for the places, then redact.go, mark.go, clean.go and
links.go (docs/injection.md is for people).

Package internal/access says who somebody is and what they may do: builtin.cedar has
the roles, docs/adr/0015 why tokens mean nothing by themselves, 0017 what browsers keep.
Its oidc asks OpenID providers who people are; signin.go and signin_oidc.go in
internal/app make sessions of it.

Package internal/app holds the use cases, whoever asks: work.go and what is beside it
for tasks, runs and projects. Authorize in access.go is the one place that decides
whether they may.

Package internal/web is the console: read routes.go for the pages, run.go for that of a
run, timeline.go for what becomes of its events (docs/console.md is for people).

Package internal/gateway offers the models to other programs. Read decode.go for
what becomes of a request, serve.go for a call's way, output.go for its answer.

Package internal/audit signs and verifies the log of what was done and refused, whose
entries the root's audit.go makes and the store's audit.go takes into a tree;
docs/adr/0013 says why it is a stream of the event log. Package internal/secret seals what
must not be seen, under a key ring that is not in the database (docs/secrets.md). What
is held on people and workspaces is handed out and erased by the store's rights*.go
(docs/data-rights.md); docs/compliance holds the whole against SOC 2 and the GDPR.

Package internal/webhook sends the log to addresses outside. Read doc.go for the
promises, deliverer.go for the rounds it makes, courier.go and attempt.go for what
one endpoint gets, guard.go for where it does not go.

Parts of MGX that must see every event are consumers: consumer.go in internal/event
says what they are promised, consumer_worker.go does it, and metrics_consumer.go here
is one.

Delivery begins in internal/event again, with hub.go: one goroutine reads the log
for all subscribers, hub_subscription.go says how each gets every event once.
Package internal/api puts that and the rest on HTTP; read routes.go first, then
sse.go and socket.go. limit.go there asks package internal/limit how often somebody may ask
(docs/limits.md). Package client is the other end, which connects again and
resumes. serve.go here runs them, serve_work.go finds runs to work on, of every
workspace in turns (serve_turns.go), and work.go is this machine to them.

This package is the command line: one file for each group of commands, wire.go
builds everything, attach.go shows a run while this process works on it. What a command
works on, the data directory or a server, is said in at.go; runs.go has the interface that
both are behind, and follow.go shows a run that a server works on. run_upload.go sends a
repository there and brings the branch back, run_attach.go sends files; uploads.go is the
server's side of both, and leftovers.go removes what killed processes left.

Package internal/ui is how runs look on a terminal. Packages config, telemetry and
guard keep settings, log lines and secrets in order; telemetry/observe lets
measurements and traces out, and metrics.go here lists what is measured. Package lazy
puts off what a start may not need. The import table in
arch_test.go at the root holds all of this to its layers.
*/
package main
