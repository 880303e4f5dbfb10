package event

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"

	"mgx"
)

// payloads names the Go type of every event's data.
var payloads = map[mgx.EventType]any{
	mgx.TaskCreated: mgx.TaskCreatedData{}, mgx.TaskStarted: mgx.TaskStartedData{}, mgx.TaskCompleted: mgx.TaskCompletedData{},
	mgx.TaskFailed: mgx.TaskErrorData{}, mgx.TaskCancelled: mgx.TaskCancelledData{},
	mgx.RunCreated: mgx.RunCreatedData{}, mgx.RunPhaseChanged: mgx.PhaseData{}, mgx.RunPlanUpdated: mgx.PlanUpdatedData{},
	mgx.RunCheckpointed: mgx.CheckpointData{}, mgx.RunChecksCompleted: mgx.ChecksData{}, mgx.RunReviewCompleted: mgx.ReviewData{},
	mgx.RunAnswered: mgx.AnsweredData{}, mgx.RunDelivered: mgx.DeliveredData{}, mgx.RunNoted: mgx.NotedData{}, mgx.RunNetworkUsed: mgx.NetworkUsedData{},
	mgx.RunLimitReached: mgx.LimitReachedData{},
	mgx.RunMessageSent:  mgx.MessageSentData{}, mgx.RunPaused: mgx.PausedData{}, mgx.RunContinued: mgx.ContinuedData{},
	mgx.RunCommentMade: mgx.CommentMadeData{}, mgx.RunCommentClosed: mgx.CommentClosedData{}, mgx.RunFileApproved: mgx.FileApprovedData{}, mgx.RunChangesRequested: mgx.ChangesRequestedData{},
	mgx.AgentBriefed: mgx.AgentBriefedData{}, mgx.AgentMessage: mgx.AgentMessageData{}, mgx.ToolCalled: mgx.ToolCallData{}, mgx.ToolReturned: mgx.ToolResultData{},
	mgx.LLMCallCompleted: mgx.LLMCallData{}, mgx.LLMProviderError: mgx.ProviderErrorData{},
	mgx.WorkflowStarted: mgx.WorkflowStartedData{}, mgx.WorkflowStepStarted: mgx.StepStartedData{}, mgx.WorkflowStepCompleted: mgx.StepCompletedData{},
	mgx.WorkflowWaiting: mgx.WaitingData{}, mgx.WorkflowResumed: mgx.ResumedData{}, mgx.WorkflowCompleted: mgx.WorkflowCompletedData{},
	mgx.ApprovalRequested: mgx.ApprovalRequestedData{}, mgx.ApprovalDecided: mgx.ApprovalDecidedData{},
	mgx.LLMProviderFallback: mgx.ProviderFallbackData{}, mgx.ArtifactCreated: mgx.ArtifactCreatedData{}, mgx.ArtifactUpdated: mgx.ArtifactUpdatedData{},
	mgx.ResourceWarning: mgx.ResourceData{}, mgx.ResourceCritical: mgx.ResourceCriticalData{},
	mgx.SuspiciousActivity: mgx.SuspicionData{}, mgx.BreachDetected: mgx.BreachData{},
	mgx.DataErased: mgx.DataErasedData{}, mgx.AuditRecorded: mgx.AuditData{},
	mgx.WebhookDisabled: mgx.WebhookDisabledData{},
	mgx.WebhookSkipped:  mgx.WebhookSkippedData{}, mgx.WebhookTest: mgx.WebhookTestData{},
	mgx.BillingThresholdReached: mgx.ThresholdReachedData{}, mgx.BillingUsageAlert: mgx.UsageAlertData{},
}

func registry(t testing.TB) *Registry {
	t.Helper()
	r, err := NewRegistry()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// declaredTypes reads the constants of the domain package's source, so that a
// type without a contract cannot be forgotten.
func declaredTypes(t *testing.T) []mgx.EventType {
	file, err := parser.ParseFile(gotoken.NewFileSet(), "../../event.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var types []mgx.EventType
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok {
			if id, ok := spec.Type.(*ast.Ident); ok && id.Name == "EventType" {
				s, _ := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
				types = append(types, mgx.EventType(s))
			}
		}
		return true
	})
	slices.Sort(types)
	return types
}

func TestEveryTypeHasAContract(t *testing.T) {
	t.Parallel()
	r := registry(t)
	var have []mgx.EventType
	for _, typ := range r.Types() {
		have = append(have, typ.Type)
	}
	if want := declaredTypes(t); !slices.Equal(have, want) {
		t.Errorf("contracts: %v\ndeclared:  %v", have, want)
	}
	if want := slices.Sorted(maps.Keys(payloads)); !slices.Equal(have, want) {
		t.Errorf("contracts: %v\npayloads:  %v", have, want)
	}
}

func TestContractsAreComplete(t *testing.T) {
	t.Parallel()
	semver := regexp.MustCompile(`^\d+\.\d+\.\d+$`)
	for _, typ := range registry(t).Types() {
		if !semver.MatchString(typ.Version) || typ.Title == "" || typ.Description == "" || typ.Category == "" || typ.Owner == "" || typ.Delivery != "at_least_once" || len(typ.Examples) == 0 {
			t.Errorf("%s: something is missing: %+v", typ.Type, typ)
		}
		if typ.Retention < 30*24*time.Hour {
			t.Errorf("%s is kept for %v only", typ.Type, typ.Retention)
		}
		var schema map[string]any
		if err := json.Unmarshal(typ.Schema, &schema); err != nil {
			t.Fatal(err)
		}
		if schema["$schema"] != "https://json-schema.org/draft/2020-12/schema" {
			t.Errorf("%s: not draft 2020-12", typ.Type)
		}
		described(t, string(typ.Type), schema)
	}
}

// described fails for every property without words.
func described(t *testing.T, path string, node any) {
	m, _ := node.(map[string]any)
	props, _ := m["properties"].(map[string]any)
	for name, p := range props {
		prop := p.(map[string]any)
		if _, ref := prop["$ref"]; prop["description"] == nil && !ref {
			t.Errorf("%s: property %s has no description", path, name)
		}
	}
	for key, v := range m {
		if key != "examples" {
			described(t, path+"/"+key, v)
		}
	}
}

func TestExamplesKeepTheirContract(t *testing.T) {
	t.Parallel()
	r := registry(t)
	for _, typ := range r.Types() {
		for _, data := range typ.Examples {
			e := sample(typ.Type, data)
			if err := r.Check(&e); err != nil {
				t.Error(err)
			}
			if e.Version != typ.Version {
				t.Errorf("%s: version %q was filled in, want %q", typ.Type, e.Version, typ.Version)
			}
			into := reflect.New(reflect.TypeOf(payloads[typ.Type]))
			if err := e.Decode(into.Interface()); err != nil {
				t.Error(err)
			}
			if again, _ := json.Marshal(into.Interface()); !sameJSON(t, data, again) {
				t.Errorf("%s: the Go type loses something:\n%s\n%s", typ.Type, data, again)
			}
		}
	}
}

func sameJSON(t *testing.T, a, b []byte) bool {
	var x, y any
	if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
		t.Fatalf("not JSON: %s %s", a, b)
	}
	return reflect.DeepEqual(x, y)
}

func sample(typ mgx.EventType, data json.RawMessage) mgx.Event {
	return mgx.Event{ID: mgx.NewEventID(), Type: typ, Time: mgx.Now(), Workspace: mgx.DefaultWorkspace, Stream: "run_x", Data: data}
}

// A zero payload breaks rules about what its values say at most, never about
// which fields there are or what type they have.
func TestZeroPayloadsHaveTheRightShape(t *testing.T) {
	t.Parallel()
	r := registry(t)
	for typ, payload := range payloads {
		schema, err := r.contracts[typ].current.schema()
		if err != nil {
			t.Fatal(err)
		}
		err = schema.Validate(decoded(t, payload))
		for _, leaf := range leaves(err) {
			switch leaf.ErrorKind.(type) {
			case *kind.Enum, *kind.Pattern, *kind.MinLength, *kind.Minimum:
			default:
				t.Errorf("%s: %v", typ, leaf)
			}
		}
	}
}

// Every field of a payload is in its contract and the other way round, with a
// type that fits, also when every field is set.
func TestFilledPayloadsKeepTheirContract(t *testing.T) {
	t.Parallel()
	r := registry(t)
	for typ, payload := range payloads {
		v := reflect.New(reflect.TypeOf(payload)).Elem()
		var root map[string]any
		json.Unmarshal(r.contracts[typ].current.raw, &root)
		fill(t, v, root, root, string(typ))
		data, err := json.Marshal(v.Interface())
		if err != nil {
			t.Fatal(err)
		}
		e := sample(typ, data)
		if err := r.Check(&e); err != nil {
			t.Errorf("%v\n%s", err, data)
		}
	}
}

func decoded(t *testing.T, payload any) any {
	raw, err := json.Marshal(payload)
	if err != nil {
		t.Fatal(err)
	}
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(string(raw)))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func leaves(err error) (all []*jsonschema.ValidationError) {
	v, ok := err.(*jsonschema.ValidationError)
	if !ok {
		return nil
	}
	if len(v.Causes) == 0 {
		return []*jsonschema.ValidationError{v}
	}
	for _, c := range v.Causes {
		all = append(all, leaves(c)...)
	}
	return all
}

// fill sets every field of v to something its schema allows, and fails where
// fields and properties differ.
func fill(t *testing.T, v reflect.Value, schema, root map[string]any, path string) {
	if ref, ok := schema["$ref"].(string); ok {
		schema = root["$defs"].(map[string]any)[strings.TrimPrefix(ref, "#/$defs/")].(map[string]any)
	}
	switch {
	case v.Type() == reflect.TypeFor[mgx.Money]():
		v.SetInt(int64(mgx.USD) / 4)
	case v.Type() == reflect.TypeFor[time.Time]():
		v.Set(reflect.ValueOf(mgx.Now()))
	case v.Type() == reflect.TypeFor[json.RawMessage]():
		v.SetBytes([]byte(`{}`))
	case v.Kind() == reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(t, v.Elem(), schema, root, path)
	case v.Kind() == reflect.Struct:
		fillFields(t, v, schema, root, path)
	case v.Kind() == reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(t, v.Index(0), schema["items"].(map[string]any), root, path+"[]")
	case v.Kind() == reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		one := reflect.New(v.Type().Elem()).Elem()
		fill(t, one, schema["additionalProperties"].(map[string]any), root, path+"{}")
		v.SetMapIndex(reflect.ValueOf("a name"), one)
	case v.CanFloat():
		v.SetFloat(1.5)
	case v.Kind() == reflect.String:
		v.SetString(allowedString(schema))
	case v.CanInt():
		v.SetInt(3)
	case v.Kind() == reflect.Bool:
		v.SetBool(true)
	default:
		t.Fatalf("%s: cannot fill a %s", path, v.Type())
	}
}

func allowedString(schema map[string]any) string {
	if choices, ok := schema["enum"].([]any); ok {
		return choices[0].(string)
	}
	pattern, _ := schema["pattern"].(string)
	switch {
	case strings.HasPrefix(pattern, "^task_"):
		return string(mgx.NewTaskID())
	case strings.HasPrefix(pattern, "^art_"):
		return mgx.NewID[string]("art")
	case pattern == "^[0-9a-f]{64}$":
		return strings.Repeat("0a", 32)
	case strings.HasPrefix(pattern, `^[a-z_]+(\.`):
		return "words.with_dots"
	case strings.HasPrefix(pattern, "^sha256:"):
		return "sha256:" + strings.Repeat("0a", 32)
	}
	return "some words"
}

func fillFields(t *testing.T, v reflect.Value, schema, root map[string]any, path string) {
	props, _ := schema["properties"].(map[string]any)
	seen := map[string]bool{}
	for _, field := range reflect.VisibleFields(v.Type()) {
		if field.Anonymous {
			continue
		}
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name == "-" {
			continue // never written
		}
		prop, ok := props[name].(map[string]any)
		if !ok {
			t.Errorf("%s: the contract has no property %q", path, name)
			continue
		}
		seen[name] = true
		required := slices.ContainsFunc(asList(schema["required"]), func(r any) bool { return r == name })
		if optional := strings.Contains(options, "omit"); optional == required {
			t.Errorf("%s: %s is required=%v in the contract and optional=%v in Go", path, name, required, optional)
		}
		fill(t, v.FieldByIndex(field.Index), prop, root, path+"."+name)
	}
	for name := range props {
		if !seen[name] {
			t.Errorf("%s: Go has no field %q", path, name)
		}
	}
}

func asList(v any) []any { l, _ := v.([]any); return l }

func TestCheckRefuses(t *testing.T) {
	t.Parallel()
	r := registry(t)
	ok := func() mgx.Event {
		e := mgx.Scope{Workspace: mgx.DefaultWorkspace, Run: mgx.NewRunID(), Execution: mgx.NewExecutionID()}.
			Event(mgx.RunNoted, mgx.NotedData{Level: "info", Text: "x"})
		return e
	}
	if e := ok(); r.Check(&e) != nil {
		t.Fatal(r.Check(&e))
	}
	for name, c := range map[string]struct {
		spoil func(*mgx.Event)
		code  string
	}{
		"unknown type":      {func(e *mgx.Event) { e.Type = "task.imagined" }, CodeUnknownType},
		"path as type":      {func(e *mgx.Event) { e.Type = "../schemas/task.created" }, CodeUnknownType},
		"no id":             {func(e *mgx.Event) { e.ID = "" }, CodeBadEvent},
		"id without ULID":   {func(e *mgx.Event) { e.ID = "evt_1" }, CodeBadEvent},
		"no workspace":      {func(e *mgx.Event) { e.Workspace = "" }, CodeBadEvent},
		"no stream":         {func(e *mgx.Event) { e.Stream = "" }, CodeBadEvent},
		"other run's":       {func(e *mgx.Event) { e.Stream = "run_other" }, CodeBadEvent},
		"wrong prefix":      {func(e *mgx.Event) { e.Task = "run_1" }, CodeBadEvent},
		"newline in id":     {func(e *mgx.Event) { e.Correlation = "a\nb" }, CodeBadEvent},
		"endless id":        {func(e *mgx.Event) { e.Correlation = strings.Repeat("a", 1000) }, CodeBadEvent},
		"traceparent":       {func(e *mgx.Event) { e.Traceparent = "00-abc" }, CodeBadEvent},
		"local time":        {func(e *mgx.Event) { e.Time = e.Time.In(time.FixedZone("x", 3600)) }, CodeBadEvent},
		"nanoseconds":       {func(e *mgx.Event) { e.Time = e.Time.Add(1) }, CodeBadEvent},
		"no time":           {func(e *mgx.Event) { e.Time = time.Time{} }, CodeBadEvent},
		"far future":        {func(e *mgx.Event) { e.Time = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) }, CodeBadEvent},
		"other version":     {func(e *mgx.Event) { e.Version = "9.0.0" }, CodeBadEvent},
		"missing field":     {func(e *mgx.Event) { e.Data = json.RawMessage(`{"level":"info"}`) }, CodeBadEvent},
		"unnamed field":     {func(e *mgx.Event) { e.Data = json.RawMessage(`{"level":"info","text":"x","txet":1}`) }, CodeBadEvent},
		"wrong type":        {func(e *mgx.Event) { e.Data = json.RawMessage(`{"level":"info","text":7}`) }, CodeBadEvent},
		"not in the enum":   {func(e *mgx.Event) { e.Data = json.RawMessage(`{"level":"loud","text":"x"}`) }, CodeBadEvent},
		"not JSON":          {func(e *mgx.Event) { e.Data = json.RawMessage(`{"level"`) }, CodeBadEvent},
		"two values":        {func(e *mgx.Event) { e.Data = json.RawMessage(`{"level":"info","text":"x"} {}`) }, CodeBadEvent},
		"invalid UTF-8":     {func(e *mgx.Event) { e.Data = text(1, "\xff") }, CodeBadEvent},
		"half a pair":       {func(e *mgx.Event) { e.Data = text(1, `\ud83d`) }, CodeBadEvent},
		"second half":       {func(e *mgx.Event) { e.Data = text(1, `\udE00`) }, CodeBadEvent},
		"NaN":               {func(e *mgx.Event) { e.Data = json.RawMessage(`{"level":"info","text":NaN}`) }, CodeBadEvent},
		"key twice":         {func(e *mgx.Event) { e.Data = json.RawMessage(`{"level":"info","text":"x","text":"y"}`) }, CodeBadEvent},
		"key twice, spelt":  {func(e *mgx.Event) { e.Data = json.RawMessage(`{"level":"info","text":"x","\u0074ext":"y"}`) }, CodeBadEvent},
		"deep":              {func(e *mgx.Event) { e.Data = nested(maxDepth + 1) }, CodeBadEvent},
		"endlessly deep":    {func(e *mgx.Event) { e.Data = json.RawMessage(strings.Repeat("[", 100_000)) }, CodeBadEvent},
		"no data":           {func(e *mgx.Event) { e.Data = nil }, CodeBadEvent},
		"too large":         {func(e *mgx.Event) { e.Data = text(mgx.MaxEventSize, "a") }, CodeTooLarge},
		"large when quoted": {func(e *mgx.Event) { e.Data = text(mgx.MaxEventSize/3, "<") }, CodeTooLarge},
	} {
		e := ok()
		c.spoil(&e)
		if err := r.Check(&e); !mgx.IsCode(err, c.code) {
			t.Errorf("%s: got %v, want code %s", name, err, c.code)
		}
	}
}

// nested is an object, n levels deep itself included, with the deepest first.
func nested(n int) json.RawMessage {
	return json.RawMessage(strings.Repeat(`{"deep":`, n-1) + `{}` + strings.Repeat(`}`, n-1))
}

func text(n int, char string) json.RawMessage {
	return json.RawMessage(`{"level":"info","text":"` + strings.Repeat(char, n) + `"}`)
}

func TestCheckTextAccepts(t *testing.T) {
	t.Parallel()
	for _, ok := range []string{
		`{"a":1,"b":{"a":1},"c":[{"a":1},{"a":2}]}`, `{"a":"a","b":"a"}`, `["a","a"]`, `{"a":"\ud83d\uDE00\u00e9\\\"","b":"\\"}`,
		string(nested(maxDepth)), `{"A":1,"a":2}`, ` { "x" : [ "x" , "x" ] } `, `"a"`, ``,
	} {
		if err := checkText([]byte(ok)); err != nil {
			t.Errorf("%s: %v", ok, err)
		}
	}
}

// It ends on any bytes; and what a parser accepts and it too has no key twice:
// written and read again, it is as long as before.
func FuzzCheckText(f *testing.F) {
	for _, seed := range []string{`{"a":[1,{"b":"\ud83d\ude00"}]}`, `{"a":1,"\u0061":2}`, `}{"`, `{"\`, `{,"a"`, `[{"a"`, `{"a":{"a":"\""}}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if checkText(data) != nil || !json.Valid(data) {
			return
		}
		var v any
		if json.Unmarshal(data, &v) != nil {
			return // a number beyond a float
		}
		again, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		if read, kept := tokens(data), tokens(again); read != kept {
			t.Errorf("%s: %d tokens, written again %d", data, read, kept)
		}
	})
}

func tokens(data []byte) (n int) {
	for d := json.NewDecoder(bytes.NewReader(data)); ; n++ {
		if _, err := d.Token(); err != nil {
			return n
		}
	}
}

func TestCheckAcceptsLargeEvents(t *testing.T) {
	t.Parallel()
	e := mgx.Scope{Workspace: mgx.DefaultWorkspace, Run: mgx.NewRunID()}.Event(mgx.RunNoted, nil)
	e.Data = text(mgx.MaxEventSize-2000, "a")
	if err := registry(t).Check(&e); err != nil {
		t.Fatal(err)
	}
}

// The published schema accepts what a later minor version adds; the writer's
// form of it does not.
func TestPublishedSchemasAreOpen(t *testing.T) {
	t.Parallel()
	for _, typ := range registry(t).Types() {
		if strings.Contains(string(typ.Schema), `"additionalProperties": false`) {
			t.Errorf("%s closes an object: consumers would refuse the next minor version", typ.Type)
		}
	}
}

func BenchmarkCheck(b *testing.B) {
	r := registry(b)
	e := mgx.Scope{Workspace: mgx.DefaultWorkspace, Run: mgx.NewRunID()}.Event(mgx.ToolReturned, mgx.ToolResultData{CallID: "c", Name: "shell", Status: "success", Output: strings.Repeat("line of output\n", 100)})
	for b.Loop() {
		if err := r.Check(&e); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkNewRegistry(b *testing.B) {
	for b.Loop() {
		registry(b)
	}
}

// The 24 types that consumers were promised, with how long they are kept.
func TestPromisedTypes(t *testing.T) {
	t.Parallel()
	promised := map[mgx.EventType]int{
		"task.created": 90, "task.started": 90, "task.completed": 90, "task.error": 365, "task.cancelled": 90,
		"agent.briefed": 90, "agent.message": 30, "tool.call": 90, "tool.result": 90, "artifact.created": 90, "artifact.updated": 90,
		"workflow.started": 90, "workflow.step.started": 90, "workflow.step.completed": 90, "workflow.completed": 90,
		"workflow.approval.requested": 90, "workflow.approval.decided": 90,
		"system.resource.warning": 30, "system.resource.critical": 90,
		"security.suspicious_activity": 365, "security.breach_detected": 365,
		"billing.threshold.reached": 7 * 365, "billing.usage_alert": 7 * 365,
		"llm.provider.error": 90, "llm.provider.fallback": 90,
	}
	seen := map[string]bool{}
	for _, typ := range registry(t).Types() {
		days, ok := promised[typ.Type]
		if !ok {
			continue
		}
		seen[typ.Category] = true
		category, _, _ := strings.Cut(string(typ.Type), ".")
		if kept := int(typ.Retention.Hours() / 24); kept < days || kept > days+2 || typ.Category != category {
			t.Errorf("%s is of category %s and kept for %d days", typ.Type, typ.Category, kept)
		}
		delete(promised, typ.Type)
	}
	if len(promised) != 0 || len(seen) != 9 {
		t.Errorf("missing: %v; categories: %v", promised, seen)
	}
}
