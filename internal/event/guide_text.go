package event

const referenceHead = `# Events

Every fact that MGX records is an event: what a person asked for, what an agent said and did, what was approved, what it cost. The log
is the product's memory; the console, the command line, billing and audit all read it. This page lists each type with its fields. The
same contracts are JSON Schemas at ` + "`/api/v1/events/schemas`" + `, an [AsyncAPI document](asyncapi.json) and TypeScript types in
` + "`sdk/typescript`" + `. How contracts change, and what consumers are promised, is in the [migration guide](consumer-migration.md).

## The envelope

At most 1 MB as JSON, objects nested at most 32 deep. Events hold no secret, and no personal data beyond ids; larger payloads are
artifacts, named by digest.

Whoever has the right to it can have the words on a run or a task erased. Their events keep their envelopes and their places in the log;
` + "`data`" + ` is ` + "`{\"erased\":true}`" + ` then, whatever the type, and ` + "`data.erased`" + ` says so.
`

const referenceDelivery = `
## Delivery

Events are delivered in the order of ` + "`position`" + `, each at least once; a consumer that skips positions it has seen sees each exactly once.
There are three ways:

- **WebSocket** at ` + "`" + socketPath + "`" + `, sub-protocol ` + "`" + socketProtocol + "`" + `. Frames are JSON objects with a ` + "`type`" + `.
- **Server-sent events** at ` + "`" + streamPath + "`" + `: ` + "`data:`" + ` is the envelope, ` + "`id:`" + ` the token to resume with as ` + "`Last-Event-ID`" + `.
  Events have no name; ` + "`subscribed`, `checkpoint`, `lagging`, `reset` and `live`" + ` have theirs, with the fields of the frames below.
- **Webhooks** to addresses that a workspace registers.

A subscription names channels (` + "`all`, `workspace:ID`, `project:ID`, `task:ID`, `run:ID`, `agent:ID`, `workflow:ID`" + `, or ` + "`*`" + ` for the id)
and globs of types (` + "`task.*`" + `). It begins with the event after the one its resume token belongs to. Token deltas and live tool output are
no events: they go to whoever watches, at most once, and are never stored.
`

const referenceCloudEvents = `
## CloudEvents

On request an event is written as a CloudEvent 1.0.2 in the JSON format:

| CloudEvents | event |
|---|---|
| ` + "`id`, `type`, `time`" + ` | ` + "`event_id`, `event_type`, `timestamp`" + ` |
| ` + "`source`" + ` | ` + "`/workspaces/`" + ` and ` + "`workspace_id`" + ` |
| ` + "`subject`" + ` | ` + "`stream`" + ` |
| ` + "`dataschema`" + ` | address of the schema, which ends in the type and the ` + "`version`" + ` |
| ` + "`datacontenttype`, `data`" + ` | ` + "`application/json`, `data`" + ` |
| ` + "`sequence`, `position`" + ` | the same, as 19 digits that sort as text |
| ` + "`projectid`, `taskid`, `runid`, `agentid`, `executionid`, `correlationid`, `causationid`, `traceparent`" + ` | the ids of the envelope |
`

const migrationHead = `# Consuming events over time

Each type has its own version, by semantic versioning, and every event says which version its data keeps.

| step | what changed | what a consumer does |
|---|---|---|
| patch | words | nothing |
| minor | a new optional field, or a new value of an enum | nothing, if it ignores fields and tolerates values it does not know |
| major | a field was removed, renamed, retyped or became required; a value or a bound changed | reads the old version until it has moved |

What MGX promises:

1. Within a major version, whoever reads one version can read all of them: each schema was held against every one before it when it was
   released (` + "`contracts.lock.json`" + ` keeps their digests), because a replay meets every version ever written.
2. Events are never rewritten. When a type has a new major version, events written before are changed on their way to the reader.
3. Before an old major version ends there are 30 days of notice, and then 90 days during which it is still served: events in the new version
   are changed back. In that time answers carry ` + "`Deprecation`" + ` (RFC 9745) and ` + "`Sunset`" + ` (RFC 8594).
4. Reads of old versions are counted by consumer, so that nobody is forgotten.

## Reading a version

Name it, as a type, ` + "`@`" + ` and a major version or a whole one: ` + "`tool.result@1,task.created@1.0.0`" + `. In a WebSocket ` + "`subscribe`" + ` frame this is
` + "`versions`" + `; for server-sent events and pages it is the ` + "`versions`" + ` parameter. Types that are not named come in their latest version.

## Being ready

- Validate with the published schemas: they allow fields they do not name.
- Have a branch for values of an enum, and for types of events, that you do not know. The TypeScript types say so: an enum is its values
  or any other string.
- Keep the position of the last event you have dealt with, and its token.

## Moving to a new major version

1. Read below what changed, and the schema of the new version at ` + "`/api/v1/events/schemas/TYPE/VERSION`" + `.
2. Ask for the old version by name. From now on nothing changes for you.
3. Teach your code the new version; test it with the examples in the schema.
4. Ask for the new version, or for none.
`
