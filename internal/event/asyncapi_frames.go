package event

// frame is one message of the WebSocket sub-protocol.
type frame struct {
	title, summary string
	client         bool // sent by the client
	fields         []field
	example        object
}

// field is one property of a frame, besides its type.
type field struct {
	name     string
	required bool
	schema   object
}

func stringSchema(words string) object { return object{"type": "string", "description": words} }
func integerSchema(words string) object {
	return object{"type": "integer", "minimum": 0, "description": words}
}

func stringsSchema(words string) object {
	return object{"type": "array", "items": object{"type": "string"}, "description": words}
}

var (
	subscription = field{"id", true, stringSchema("The subscription, as the client named it.")}
	echo         = field{"id", false, stringSchema("Any; the answer has the same.")}
	resumeToken  = field{"resume", true, stringSchema("Token to resume with after this.")}
)

// frames lists the messages of the sub-protocol events.v1+json by type.
func frames() map[string]frame {
	return map[string]frame{
		"subscribe": {
			title: "Subscribe", summary: "Asks for events, from the resume token on, after a position, or from now on.", client: true,
			fields: []field{
				{"id", true, stringSchema("Name of the subscription, unique in the connection.")},
				{"channels", true, stringsSchema("What to hear of, such as all or run:*. Several widen.")},
				{"filter", false, object{"type": "object", "description": "Narrows to types that match one of these globs; absent: every type.", "properties": object{
					"types": stringsSchema("Globs such as task.*."),
				}}},
				{"resume", false, stringSchema("Token of the last event that was dealt with.")},
				{"after", false, integerSchema("Instead: position of the last event that was dealt with; 0 for all there is.")},
				{"versions", false, stringSchema("Versions to read, such as tool.result@1; others are read in their latest.")},
				{"live", false, object{"type": "boolean", "description": "Also token deltas and live tool output, at most once."}},
			},
			example: object{"type": "subscribe", "id": "s1", "channels": []any{"run:run_01J9ZK3V5T8QWXYZABCDEF0123"}, "filter": object{"types": []any{"task.*", "tool.*"}}},
		},
		"unsubscribe": {
			title: "Unsubscribe", summary: "Ends a subscription.", client: true,
			fields: []field{subscription}, example: object{"type": "unsubscribe", "id": "s1"},
		},
		"ack": {
			title: "Acknowledge", summary: "Says up to which position everything was dealt with.", client: true,
			fields:  []field{subscription, {"position", true, integerSchema("That position.")}},
			example: object{"type": "ack", "id": "s1", "position": 4211},
		},
		"ping": {
			title: "Ping", summary: "Asks for a pong.", client: true,
			fields: []field{echo}, example: object{"type": "ping", "id": "p1"},
		},
		"pong": {
			title: "Pong", summary: "Answers a ping.",
			fields: []field{echo}, example: object{"type": "pong", "id": "p1"},
		},
		"subscribed": {
			title: "Subscribed", summary: "The subscription begins.",
			fields: []field{
				subscription,
				{"epoch", true, stringSchema("Names the log; positions of another epoch mean nothing here.")},
				{"position", true, integerSchema("Position after which it begins.")},
				resumeToken,
			},
			example: object{"type": "subscribed", "id": "s1", "epoch": "01J9ZK3V5T8Q", "position": 4210, "resume": "AQ…"},
		},
		"event": {
			title: "Event", summary: "One event. Positions only grow within a subscription.",
			fields:  []field{subscription, resumeToken, {"event", true, object{"$ref": "#/components/schemas/envelope/schema"}}},
			example: object{"type": "event", "id": "s1", "resume": "AQ…", "event": exampleEvent(Type{Type: "run.noted", Version: "1.0.0", Category: "run"}, []byte(`{"level":"info","text":"x"}`))},
		},
		"checkpoint": {
			title: "Checkpoint", summary: "Nothing that matches is left up to this position. Sent every 10 seconds when nothing else is.",
			fields:  []field{subscription, {"position", true, integerSchema("That position.")}, resumeToken},
			example: object{"type": "checkpoint", "id": "s1", "position": 5000, "resume": "AQ…"},
		},
		"lagging": {
			title: "Lagging", summary: "The client is slower than the log grows; nothing is lost, events are read from the log.",
			fields:  []field{subscription, {"position", true, integerSchema("Position that was delivered last.")}, {"head", true, integerSchema("Position of the last event of the log.")}},
			example: object{"type": "lagging", "id": "s1", "position": 4211, "head": 9000},
		},
		"live": {
			title: "Live", summary: "A piece of what a model says or a program prints, while it does. At most once, never stored, no position.",
			fields: []field{
				{"id", false, stringSchema("The subscription, as the client named it.")},
				{"workspace_id", true, stringSchema("The tenant it belongs to.")},
				{"task_id", false, stringSchema("The task it is about.")},
				{"run_id", true, stringSchema("The run it is about.")},
				{"agent", false, stringSchema("Role of the agent.")},
				{"text", false, stringSchema("Of the model.")},
				{"again", false, object{"type": "boolean", "description": "The model starts over: what it said in this turn is void."}},
				{"tool", false, stringSchema("Output of a program.")},
				{"missed", false, integerSchema("Pieces left out before this one.")},
			},
			example: object{"type": "live", "id": "s1", "workspace_id": "ws_default", "run_id": "run_01J9ZK3V5T8QWXYZABCDEF0123", "agent": "implementer", "text": "I will"},
		},
		"reset": {
			title: "Reset", summary: "The position cannot be resumed from, or retention has removed events that were yet to be read; the subscription has ended, and the client chooses where to begin anew.",
			fields: []field{
				subscription,
				{"reason", true, object{"type": "string", "description": "Why.", "enum": []any{ResetToken, ResetFilter, ResetEpoch, ResetTooOld, ResetAhead}}},
				{"earliest", true, integerSchema("Position of the first event that can be read.")},
				{"head", true, integerSchema("Position of the last event of the log.")},
			},
			example: object{"type": "reset", "id": "s1", "reason": ResetEpoch, "earliest": 1, "head": 12},
		},
		"error": {
			title: "Error", summary: "Something was refused: a problem by RFC 9457.",
			fields: []field{
				{"id", false, stringSchema("The subscription that was refused; absent: the frame as a whole.")},
				{"problem", true, object{"type": "object", "description": "The problem.", "required": []any{"title", "status", "code"}, "properties": object{
					"type": stringSchema("URI of the sort of problem."), "title": stringSchema("The sort of problem, in words."), "status": integerSchema("HTTP status."),
					"detail": stringSchema("What happened and what to do."), "code": stringSchema("Stable code, snake case."),
				}}},
			},
			example: object{"type": "error", "id": "s1", "problem": object{"title": "Forbidden", "status": 403, "code": CodeChannelRefused, "detail": "You may not see this channel."}},
		},
	}
}

func (f frame) schema() object {
	props := object{"type": object{"type": "string", "const": f.example["type"], "description": "Which frame this is."}}
	required := []any{"type"}
	for _, one := range f.fields {
		props[one.name] = one.schema
		if one.required {
			required = append(required, one.name)
		}
	}
	return object{"type": "object", "required": required, "properties": props}
}
