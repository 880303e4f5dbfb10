package event

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"mgx"
	"mgx/internal/lazy"
)

// CodeBadCloudEvent is the code of what FromCloudEvent refuses, of kind usage.
const CodeBadCloudEvent = "bad_cloud_event"

// Media types of CloudEvents in the JSON format.
const (
	CloudEventType  = "application/cloudevents+json"
	CloudEventsType = "application/cloudevents-batch+json"
)

// SchemaPath is where a server serves the schema of a version: this, the type, a
// slash and the version.
const SchemaPath = "/api/v1/events/schemas/"

// CloudEvent is an event in the JSON format of CloudEvents 1.0.2
// (https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md).
// The names of extensions are of a-z and 0-9 only. Sequence and position are
// digits that sort as text, as the sequence extension asks for.
type CloudEvent struct {
	SpecVersion string          `json:"specversion"`
	ID          string          `json:"id"`
	Source      string          `json:"source"` // /workspaces/{id}
	Type        string          `json:"type"`
	Subject     string          `json:"subject"` // the stream
	Time        time.Time       `json:"time"`
	ContentType string          `json:"datacontenttype"`
	DataSchema  string          `json:"dataschema"` // address of the schema, with the type and the version
	Data        json.RawMessage `json:"data"`

	Sequence    string `json:"sequence"`
	Position    string `json:"position"`
	Project     string `json:"projectid,omitempty"`
	Task        string `json:"taskid,omitempty"`
	Run         string `json:"runid,omitempty"`
	Agent       string `json:"agentid,omitempty"`
	Execution   string `json:"executionid,omitempty"`
	Correlation string `json:"correlationid,omitempty"`
	Causation   string `json:"causationid,omitempty"`
	Traceparent string `json:"traceparent,omitempty"`
}

const (
	cloudSource = "/workspaces/"
	cloudSchema = "urn:mgx:event:" // the $id of the schema, when no server is named
)

// ToCloudEvent writes an event as a CloudEvent. Server is the address under which
// the schemas are served, such as https://mgx.example; when it is empty, the
// schema is named by its $id.
func ToCloudEvent(e mgx.Event, server string) CloudEvent {
	schema := cloudSchema + string(e.Type) + ":" + e.Version
	if server != "" {
		schema = strings.TrimSuffix(server, "/") + SchemaPath + string(e.Type) + "/" + e.Version
	}
	return CloudEvent{
		SpecVersion: "1.0", ID: string(e.ID), Source: cloudSource + string(e.Workspace), Type: string(e.Type), Subject: string(e.Stream),
		Time: e.Time, ContentType: "application/json", DataSchema: schema, Data: e.Data,
		Sequence: sortable(e.Sequence), Position: sortable(e.Position),
		Project: string(e.Project), Task: string(e.Task), Run: string(e.Run), Agent: string(e.Agent), Execution: string(e.Execution),
		Correlation: e.Correlation, Causation: string(e.Causation), Traceparent: e.Traceparent,
	}
}

func sortable(n int64) string { return fmt.Sprintf("%019d", n) }

// FromCloudEvent reads what ToCloudEvent wrote, also when it went through others
// that kept its attributes. It does not hold the data against its contract; see
// [Registry.Check].
func FromCloudEvent(c CloudEvent) (mgx.Event, error) {
	workspace, ours := strings.CutPrefix(c.Source, cloudSource)
	version, named := schemaVersion(c)
	sequence, err1 := unsortable(c.Sequence)
	position, err2 := unsortable(c.Position)
	var wrong string
	switch {
	case c.SpecVersion != "1.0":
		wrong = "its specversion is not 1.0"
	case c.ID == "" || c.Type == "" || c.Subject == "":
		wrong = "it has no id, type or subject"
	case !ours || !plainID().MatchString(workspace):
		wrong = "its source is not " + cloudSource + " and an id"
	case c.ContentType != "application/json" && c.ContentType != "" || len(c.Data) == 0:
		wrong = "its data is not JSON"
	case !named:
		wrong = "its dataschema does not end in its type and a version"
	case err1 != nil || err2 != nil:
		wrong = "its sequence or position is not a number"
	}
	if wrong != "" {
		return mgx.Event{}, mgx.Errorf(mgx.KindUsage, CodeBadCloudEvent, "this is not a CloudEvent of MGX: %s", wrong)
	}
	return mgx.Event{
		ID: mgx.EventID(c.ID), Type: mgx.EventType(c.Type), Version: version, Time: c.Time.UTC(),
		Workspace: mgx.WorkspaceID(workspace), Stream: mgx.StreamID(c.Subject), Sequence: sequence, Position: position, Data: c.Data,
		Project: mgx.ProjectID(c.Project), Task: mgx.TaskID(c.Task), Run: mgx.RunID(c.Run), Agent: mgx.AgentID(c.Agent), Execution: mgx.ExecutionID(c.Execution),
		Correlation: c.Correlation, Causation: mgx.EventID(c.Causation), Traceparent: c.Traceparent,
	}, nil
}

// schemaVersion finds the version at the end of the schema's name.
func schemaVersion(c CloudEvent) (string, bool) {
	end := strings.LastIndexAny(c.DataSchema, ":/")
	if end < 0 || !strings.HasSuffix(c.DataSchema[:end], ":"+c.Type) && !strings.HasSuffix(c.DataSchema[:end], "/"+c.Type) {
		return "", false
	}
	_, ok := parseVersion(c.DataSchema[end+1:])
	return c.DataSchema[end+1:], ok
}

var digits = lazy.Regexp(`^[0-9]{1,19}$`)

func unsortable(s string) (int64, error) {
	if s == "" {
		return 0, nil
	}
	if !digits().MatchString(s) {
		return 0, fmt.Errorf("%q is not a number", clip(s))
	}
	return strconv.ParseInt(s, 10, 64)
}
