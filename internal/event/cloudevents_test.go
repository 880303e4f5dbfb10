package event

import (
	"encoding/json"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"mgx"
)

// anyEvent draws an event that keeps its contract.
func anyEvent(t *rapid.T, r *Registry) mgx.Event {
	typ := rapid.SampledFrom(r.order).Draw(t, "type")
	data, err := encodeObject(anyData(t, r.contracts[typ].current))
	if err != nil {
		t.Fatal(err)
	}
	id := func(prefix string) string {
		return rapid.StringMatching(`(`+prefix+`_[0-9A-HJKMNP-TV-Z]{26})?`).Draw(t, prefix)
	}
	e := mgx.Event{
		ID: mgx.NewEventID(), Type: typ, Workspace: mgx.DefaultWorkspace, Data: data,
		Time:    time.UnixMicro(rapid.Int64Range(0, 1<<51).Draw(t, "time")).UTC(),
		Project: mgx.ProjectID(id("proj")), Task: mgx.TaskID(id("task")), Agent: mgx.AgentID(id("agent")), Execution: mgx.ExecutionID(id("exec")),
		Correlation: rapid.StringMatching(`([0-9A-Za-z][0-9A-Za-z_.:-]{0,20})?`).Draw(t, "correlation"), Causation: mgx.EventID(id("evt")),
		Run: mgx.NewRunID(), Sequence: rapid.Int64Range(1, 1<<62).Draw(t, "sequence"), Position: rapid.Int64Range(1, 1<<62).Draw(t, "position"),
	}
	e.Stream, e.Traceparent = mgx.StreamID(e.Run), e.Run.Traceparent()
	if err := r.Check(&e); err != nil {
		t.Fatal(err)
	}
	return e
}

// Through the JSON of a CloudEvent every event comes back as it was.
func TestCloudEventRoundTrip(t *testing.T) {
	t.Parallel()
	r := registry(t)
	rapid.Check(t, func(t *rapid.T) {
		e := anyEvent(t, r)
		text, err := json.Marshal(ToCloudEvent(e, rapid.SampledFrom([]string{"", "https://mgx.example", "http://127.0.0.1:8080/"}).Draw(t, "server")))
		if err != nil {
			t.Fatal(err)
		}
		var c CloudEvent
		if err := json.Unmarshal(text, &c); err != nil {
			t.Fatal(err)
		}
		back, err := FromCloudEvent(c)
		if err != nil {
			t.Fatal(err)
		}
		a, _ := json.Marshal(e)
		b, _ := json.Marshal(back)
		if string(a) != string(b) || !back.Time.Equal(e.Time) {
			t.Fatalf("\n%s\n%s", a, b)
		}
	})
}

// What the specification asks of any CloudEvent.
func TestCloudEventKeepsTheSpecification(t *testing.T) {
	t.Parallel()
	e := mgx.Scope{Workspace: mgx.DefaultWorkspace, Task: mgx.NewTaskID(), Run: mgx.NewRunID(), Execution: mgx.NewExecutionID()}.
		Event(mgx.RunNoted, mgx.NotedData{Level: "info", Text: "x"})
	e.Version, e.Sequence, e.Position, e.Causation, e.Correlation = "1.0.0", 9, 10, e.ID, "c"
	text, err := json.Marshal(ToCloudEvent(e, "https://mgx.example"))
	if err != nil {
		t.Fatal(err)
	}
	var attributes map[string]any
	if err := json.Unmarshal(text, &attributes); err != nil {
		t.Fatal(err)
	}
	name := regexp.MustCompile(`^[a-z0-9]{1,20}$`)
	for key, v := range attributes {
		if !name.MatchString(key) {
			t.Errorf("attribute %q is not of a-z and 0-9", key)
		}
		if s, ok := v.(string); key != "data" && (!ok || s == "") {
			t.Errorf("attribute %s is %v, not a string with something in it", key, v)
		}
	}
	want := map[string]any{
		"specversion": "1.0", "id": string(e.ID), "type": "run.noted", "source": "/workspaces/ws_default", "subject": string(e.Run),
		"dataschema": "https://mgx.example/api/v1/events/schemas/run.noted/1.0.0", "sequence": "0000000000000000009", "causationid": string(e.ID),
		"datacontenttype": "application/json", "traceparent": e.Traceparent, "data": map[string]any{"level": "info", "text": "x"},
	}
	for key, v := range want {
		if !reflect.DeepEqual(attributes[key], v) {
			t.Errorf("%s is %v, want %v", key, attributes[key], v)
		}
	}
	if sortable(9) >= sortable(10) || sortable(99) >= sortable(1<<62) {
		t.Error("sequences do not sort as text")
	}
}

func TestFromCloudEventRefuses(t *testing.T) {
	t.Parallel()
	ok := ToCloudEvent(oldEvent(), "")
	if _, err := FromCloudEvent(ok); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*CloudEvent){
		"other version":   func(c *CloudEvent) { c.SpecVersion = "0.3" },
		"no id":           func(c *CloudEvent) { c.ID = "" },
		"no type":         func(c *CloudEvent) { c.Type = "" },
		"foreign source":  func(c *CloudEvent) { c.Source = "https://github.com/x" },
		"path in source":  func(c *CloudEvent) { c.Source = "/workspaces/../x" },
		"not JSON":        func(c *CloudEvent) { c.ContentType = "text/xml" },
		"no data":         func(c *CloudEvent) { c.Data = nil },
		"no schema":       func(c *CloudEvent) { c.DataSchema = "" },
		"other schema":    func(c *CloudEvent) { c.DataSchema = "urn:mgx:event:task.created:1.0.0" },
		"no version":      func(c *CloudEvent) { c.DataSchema = "urn:mgx:event:tool.result:latest" },
		"bad sequence":    func(c *CloudEvent) { c.Sequence = "-1" },
		"endless":         func(c *CloudEvent) { c.Position = strings.Repeat("9", 19) },
		"endless by more": func(c *CloudEvent) { c.Position = strings.Repeat("9", 1000) },
	} {
		c := ok
		spoil(&c)
		if _, err := FromCloudEvent(c); !mgx.IsCode(err, CodeBadCloudEvent) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
