package event

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"mgx"
)

// The addresses of live delivery, and the versions of what is said there.
const (
	socketPath     = "/api/v1/events/ws"
	streamPath     = "/api/v1/events/stream"
	socketProtocol = "events.v1+json"
	apiVersion     = "1.0.0" // of the envelope and the frames
)

// Envelope returns the JSON Schema of what every event has.
func Envelope() json.RawMessage {
	raw, err := embedded.ReadFile("schemas/envelope/event.json")
	if err != nil {
		panic(err) // it is embedded
	}
	return raw
}

type object = map[string]any

// AsyncAPI returns an AsyncAPI 3.1 document (https://www.asyncapi.com/docs/reference/specification/v3.1.0)
// of all events and how they are delivered, generated from the contracts.
func (r *Registry) AsyncAPI() ([]byte, error) {
	messages, schemas := r.asyncMessages()
	for name, f := range frames() {
		messages[name] = object{
			"name": name, "title": f.title, "summary": f.summary, "contentType": "application/json",
			"payload": draft07(f.schema()), "examples": []any{object{"name": name, "payload": f.example}},
		}
	}
	return indented(object{
		"asyncapi": "3.1.0", "id": "urn:mgx:events", "defaultContentType": "application/json",
		"info": object{
			"title": "MGX events", "version": apiVersion,
			"description": "Every fact that MGX records, in order, without gap or duplicate. Generated from internal/event/schemas; see docs/reference/events.md.",
			"license":     object{"name": "Apache 2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
		},
		"servers": object{
			"socket": object{"host": "{host}", "protocol": "wss", "description": "A running `mgx serve`; ws without TLS.", "variables": object{"host": object{"default": "localhost:8080", "description": "Where it listens."}}},
			"http":   object{"host": "{host}", "protocol": "https", "description": "The same; http without TLS.", "variables": object{"host": object{"default": "localhost:8080", "description": "Where it listens."}}},
		},
		"channels": r.asyncChannels(), "operations": r.asyncOperations(),
		"components": object{"messages": messages, "schemas": schemas},
	})
}

// asyncMessages describes each type as a message: the envelope with its data.
func (r *Registry) asyncMessages() (messages, schemas object) {
	messages, schemas = object{}, object{"envelope": object{"schemaFormat": draft07Format, "schema": flat(Envelope())}}
	for _, t := range r.Types() {
		schemas[string(t.Type)] = object{"schemaFormat": draft07Format, "schema": flat(t.Schema)}
		examples := []any{}
		for _, data := range t.Examples {
			examples = append(examples, object{"payload": exampleEvent(t, data)})
		}
		messages[string(t.Type)] = object{
			"name": string(t.Type), "title": t.Title, "summary": t.Description, "contentType": "application/json",
			"tags":    []any{object{"name": t.Category}},
			"payload": draft07(typedEnvelope(t)), "examples": examples,
			"x-mgx": object{"version": t.Version, "versions": t.Versions, "owner": t.Owner, "retention_days": days(t), "delivery": t.Delivery},
		}
	}
	return messages, schemas
}

// typedEnvelope is the schema of a whole event of one type. The version is not
// fixed: any of the major version keeps the same contract.
func typedEnvelope(t Type) object {
	return object{"allOf": []any{
		object{"$ref": "#/components/schemas/envelope/schema"},
		object{"type": "object", "properties": object{
			"event_type": object{"const": string(t.Type)},
			"data":       object{"$ref": "#/components/schemas/" + string(t.Type) + "/schema"},
		}},
	}}
}

func (r *Registry) asyncChannels() object {
	socket, stream := object{}, object{}
	closes, codes := closings()
	for name := range frames() {
		socket[name] = object{"$ref": "#/components/messages/" + name}
	}
	for _, typ := range r.order {
		stream[string(typ)] = object{"$ref": "#/components/messages/" + string(typ)}
	}
	return object{
		"socket": object{
			"address": socketPath, "title": "WebSocket", "servers": []any{object{"$ref": "#/servers/socket"}}, "messages": socket,
			"description": "Sub-protocol " + socketProtocol + ". The client subscribes to channels (all, workspace:ID, project:ID, task:ID, run:ID, agent:ID, workflow:ID, or * for the id) and names types by glob. " +
				closes,
			"bindings": object{"ws": object{"method": "GET"}}, "x-mgx": object{"close_codes": codes},
		},
		"stream": object{
			"address": streamPath, "title": "Server-sent events", "servers": []any{object{"$ref": "#/servers/http"}}, "messages": stream,
			"description": "Each event is a `data:` line with the envelope; `id:` is the token to resume with as Last-Event-ID. A comment every 15 seconds keeps the connection.",
		},
		"webhook": object{
			"address": nil, "title": "Webhook", "messages": maps.Clone(stream),
			"description": "Each event is sent to the addresses a workspace has registered, signed by Standard Webhooks 1.0, at least once.",
		},
	}
}

func (r *Registry) asyncOperations() object {
	var fromClient, fromServer []any
	for _, name := range slices.Sorted(maps.Keys(frames())) {
		ref := object{"$ref": "#/channels/socket/messages/" + name}
		if frames()[name].client {
			fromClient = append(fromClient, ref)
		} else {
			fromServer = append(fromServer, ref)
		}
	}
	return object{
		"ask":     object{"action": "receive", "channel": object{"$ref": "#/channels/socket"}, "summary": "What a client says on the WebSocket.", "messages": fromClient},
		"deliver": object{"action": "send", "channel": object{"$ref": "#/channels/socket"}, "summary": "What the server says on the WebSocket.", "messages": fromServer},
		"stream":  object{"action": "send", "channel": object{"$ref": "#/channels/stream"}, "summary": "Events as server-sent events."},
		"webhook": object{"action": "send", "channel": object{"$ref": "#/channels/webhook"}, "summary": "Events to registered addresses."},
	}
}

// AsyncAPI's own schemas are a form of draft-07; in what the contracts use, the
// two drafts differ only in how definitions are referred to.
const draft07Format = "application/schema+json;version=draft-07"

func draft07(schema object) object {
	return object{"schemaFormat": draft07Format, "schema": schema}
}

// flat writes a contract without references, so that it can stand in a document
// whose own references mean something else.
func flat(raw json.RawMessage) object {
	root, err := decodeObject(raw)
	if err != nil {
		panic(err) // contracts are valid JSON, by test
	}
	out := inline(root, root).(object)
	for _, name := range []string{"$schema", "$id", "$defs", "x-mgx", "examples"} {
		delete(out, name)
	}
	return out
}

func inline(root object, node any) any {
	switch n := node.(type) {
	case []any:
		out := make([]any, len(n))
		for i, v := range n {
			out[i] = inline(root, v)
		}
		return out
	case object:
		target, ref := resolve(root, n)
		out := make(object, len(n))
		if ref != "" {
			out = inline(root, target).(object)
		}
		for key, v := range n {
			if !strings.HasPrefix(key, "$ref") && key != "$defs" {
				out[key] = inline(root, v)
			}
		}
		return out
	}
	return node
}

// exampleEvent puts an example's data into an envelope.
func exampleEvent(t Type, data json.RawMessage) object {
	example := object{
		"event_id": "evt_01J9ZK3V5T8QWXYZABCDEF0123", "event_type": string(t.Type), "version": t.Version,
		"timestamp": "2026-11-28T12:00:00.000001Z", "workspace_id": string(mgx.DefaultWorkspace),
		"stream": string(mgx.DefaultWorkspace), "sequence": 7, "position": 4211, "data": data,
	}
	if !slices.Contains([]string{"system", "security", "billing", "webhook"}, t.Category) {
		const ulid = "01J9ZK3V5T8QWXYZABCDEF0123"
		example["task_id"], example["run_id"], example["stream"] = "task_"+ulid, "run_"+ulid, "run_"+ulid
	}
	return example
}

func days(t Type) int { return int(t.Retention.Hours() / 24) }

// indented writes JSON for people, with the keys in order.
func indented(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(v)
	return b.Bytes(), err
}

// title is the first letter in upper case.
func title(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
