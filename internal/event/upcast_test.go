package event

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"mgx"
)

// worked is tool.result as if it had a second major version: the status and the
// exit code are together, one status has another name, and the time is finer.
func worked(t testing.TB) *Registry {
	return mustRegistry(t, os.DirFS("testdata/worked"), []step{{
		typ: mgx.ToolReturned, from: 1,
		announced: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC),
		up: func(d map[string]any) (map[string]any, error) {
			ms, err := integer(d["duration_ms"])
			if err != nil {
				return nil, err
			}
			outcome := map[string]any{"status": renamed(d["status"], "denied", "refused")}
			if code, ok := d["exit_code"]; ok {
				outcome["exit_code"] = code
			}
			d["outcome"], d["duration_us"] = outcome, json.Number(fmt.Sprint(ms*1000))
			delete(d, "status")
			delete(d, "exit_code")
			delete(d, "duration_ms")
			return d, nil
		},
		down: func(d map[string]any) (map[string]any, error) {
			us, err := integer(d["duration_us"])
			if err != nil {
				return nil, err
			}
			outcome, _ := d["outcome"].(map[string]any)
			d["status"], d["duration_ms"] = renamed(outcome["status"], "refused", "denied"), json.Number(fmt.Sprint(us/1000))
			if code, ok := outcome["exit_code"]; ok {
				d["exit_code"] = code
			}
			delete(d, "outcome")
			delete(d, "duration_us")
			return d, nil
		},
	}})
}

func integer(v any) (int64, error) {
	n, ok := v.(json.Number)
	if !ok {
		return 0, errors.New("it is not a number")
	}
	return n.Int64()
}

func renamed(v any, was, is string) any {
	if v == was {
		return is
	}
	return v
}

const oldResult = `{"call_id":"call_1","name":"shell","status":"denied","duration_ms":9007199254740,"output":"<no>","exit_code":126}`

func oldEvent() mgx.Event {
	e := sample(mgx.ToolReturned, json.RawMessage(oldResult))
	e.Version = "1.0.0"
	return e
}

func TestWorkedExample(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // in January 2000, before the announcement
		r := worked(t)
		now, err := r.At(oldEvent(), "")
		if err != nil {
			t.Fatal(err)
		}
		const want = `{"call_id":"call_1","duration_us":9007199254740000,"name":"shell","outcome":{"exit_code":126,"status":"refused"},"output":"<no>"}`
		if string(now.Data) != want || now.Version != "2.0.0" {
			t.Errorf("read at the latest: %s %s", now.Version, now.Data)
		}
		if err := r.Check(&now); err != nil {
			t.Error(err)
		}
		for _, pin := range []string{"1", "1.0.0"} {
			back, err := r.At(now, pin)
			if err != nil {
				t.Fatal(err)
			}
			if !sameJSON(t, back.Data, []byte(oldResult)) || back.Version != "1.0.0" {
				t.Errorf("read at %s: %s %s", pin, back.Version, back.Data)
			}
		}
		erased := oldEvent()
		erased.Data = mgx.Tombstone
		if got, err := r.At(erased, ""); err != nil || !got.Erased() {
			t.Errorf("an erased event: %v %v", got, err)
		}
		if e := oldEvent(); string(e.Data) != oldResult {
			t.Error("reading changed the event")
		}
	})
}

// Deprecated 30 days after the announcement, gone 90 days later; what was written
// in the old version stays readable for ever.
func TestOldMajorIsServedForItsTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := worked(t)
		s := r.Support(mgx.ToolReturned, "1")
		if s.Deprecated != time.Date(2027, 1, 31, 0, 0, 0, 0, time.UTC) || s.Sunset != time.Date(2027, 5, 1, 0, 0, 0, 0, time.UTC) {
			t.Errorf("support: %+v", s)
		}
		if s := r.Support(mgx.ToolReturned, ""); s != (Support{}) {
			t.Errorf("the latest version ends: %+v", s)
		}
		reader, err := r.Reader("hook_1", "tool.result@1")
		if err != nil || reader.Support() != s {
			t.Errorf("reader: %+v %v", reader.Support(), err)
		}
		now, _ := r.At(oldEvent(), "")
		time.Sleep(time.Until(s.Sunset) - 1)
		if _, err := reader.Read(now); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Nanosecond)
		if _, err := reader.Read(now); !mgx.IsCode(err, CodeVersionGone) || mgx.AsError(err).Kind != mgx.KindUsage {
			t.Errorf("after its time: %v", err)
		}
		if _, err := r.At(oldEvent(), ""); err != nil {
			t.Error(err)
		}
	})
}

// Steps lead any data of one version to data of the next, and back.
func TestStepsKeepContracts(t *testing.T) {
	t.Parallel()
	for _, r := range []*Registry{registry(t), worked(t)} {
		for _, s := range r.steps {
			from, err := r.find(s.typ, fmt.Sprint(s.from))
			if err != nil {
				t.Fatal(err)
			}
			rapid.Check(t, func(t *rapid.T) { checkStep(t, r, s, from, anyData(t, from)) })
			for _, example := range from.examples(t) {
				checkStep(t, r, s, from, example)
			}
		}
	}
}

func (c *release) examples(t testing.TB) (all []map[string]any) {
	description, err := c.read()
	if err != nil {
		t.Fatal(err)
	}
	for _, raw := range description.Examples {
		one, err := decodeObject(raw)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, one)
	}
	return all
}

func checkStep(t interface {
	Fatal(...any)
	Fatalf(string, ...any)
	Helper()
}, r *Registry, s step, from *release, data map[string]any,
) {
	t.Helper()
	raw, err := encodeObject(data)
	if err != nil {
		t.Fatal(err)
	}
	e := sample(s.typ, raw)
	e.Version = from.version().String()
	up, err := r.lead(e, s.from, version{major: s.from + 1})
	if err != nil {
		t.Fatal(err)
	}
	to, err := r.find(s.typ, fmt.Sprint(s.from+1))
	if err != nil {
		t.Fatal(err)
	}
	if err := to.checkData(&up); err != nil {
		t.Fatalf("%s\n%s\n%v", raw, up.Data, err)
	}
	if s.down == nil {
		return
	}
	back, err := r.lead(up, s.from+1, from.version())
	if err != nil {
		t.Fatal(err)
	}
	if string(back.Data) != string(raw) {
		t.Fatalf("%s came back as %s", raw, back.Data)
	}
}

// Within a major version data is given out as it was written, numbers and the
// order of keys included.
func TestMinorVersionsReadEachOther(t *testing.T) {
	t.Parallel()
	r := registry(t)
	e := sample(mgx.WorkflowStarted, json.RawMessage(`{"workflow":"team", "trigger":"manual"}`))
	for _, written := range []string{"1.0.0", "1.1.0"} {
		for _, pin := range []string{"", "1", "1.0.0", "1.1.0"} {
			e.Version = written
			got, err := r.At(e, pin)
			if err != nil || got.Version != written || string(got.Data) != string(e.Data) {
				t.Errorf("%s read at %q: %s %s %v", written, pin, got.Version, got.Data, err)
			}
		}
	}
}

// Every version within a major reads every other, also as validators see it.
func TestEarlierVersionsAreCompatible(t *testing.T) {
	t.Parallel()
	r := registry(t)
	rapid.Check(t, func(t *rapid.T) {
		c := r.contracts[rapid.SampledFrom(r.order).Draw(t, "type")]
		all, err := c.versions()
		if err != nil {
			t.Fatal(err)
		}
		a, b := rapid.SampledFrom(all).Draw(t, "written"), rapid.SampledFrom(all).Draw(t, "read")
		if a.version().major != b.version().major {
			return
		}
		if err := b.open(t).Validate(anyData(t, a)); err != nil {
			t.Fatalf("%s %s is not readable as %s: %v", c.typ, a.version(), b.version(), err)
		}
	})
}

func TestAtRefuses(t *testing.T) {
	t.Parallel()
	r := registry(t)
	ok := sample(mgx.RunNoted, json.RawMessage(`{"level":"info","text":"x"}`))
	ok.Version = "1.0.0"
	with := func(change func(*mgx.Event)) mgx.Event {
		e := ok
		change(&e)
		return e
	}
	for name, c := range map[string]struct {
		e    mgx.Event
		pin  string
		code string
	}{
		"no such type":     {with(func(e *mgx.Event) { e.Type = "no.such" }), "", CodeUnknownType},
		"no such version":  {ok, "7", CodeUnknownVersion},
		"not a version":    {ok, "latest", CodeUnknownVersion},
		"a long version":   {ok, strings.Repeat("1", 10000), CodeUnknownVersion},
		"none written":     {with(func(e *mgx.Event) { e.Version = "" }), "", CodeBadEvent},
		"from the future":  {with(func(e *mgx.Event) { e.Version = "2.0.0" }), "", CodeVersionGone},
		"absurdly written": {with(func(e *mgx.Event) { e.Version = "1.0.0.0" }), "", CodeBadEvent},
	} {
		_, err := r.At(c.e, c.pin)
		if !mgx.IsCode(err, c.code) || len(err.Error()) > 1000 {
			t.Errorf("%s: got %v, want %s", name, err, c.code)
		}
	}
	w := worked(t)
	bad := oldEvent()
	for _, data := range []string{`null`, `[]`, `{"duration_ms":"soon"}`, `{} {}`} {
		bad.Data = json.RawMessage(data)
		if _, err := w.At(bad, ""); !mgx.IsCode(err, CodeBadEvent) {
			t.Errorf("%s: %v", data, err)
		}
	}
}

func TestReaderPins(t *testing.T) {
	t.Parallel()
	r := registry(t)
	for pins, code := range map[string]string{
		"": "", "task.created@1": "", " task.created@1.0.0 ,tool.result@1.0.0": "",
		"task.created": "bad_event_pins", "task.created@": "bad_event_pins", ",": "bad_event_pins",
		"task.created@9": CodeUnknownVersion, "no.such@1": CodeUnknownType,
		strings.Repeat("task.created@1,", 50) + "task.created@1": "",
		strings.Repeat("x", 5000):                                "bad_event_pins",
	} {
		_, err := r.Reader("me", pins)
		if code == "" && err != nil || code != "" && !mgx.IsCode(err, code) {
			t.Errorf("%.60q: %v", pins, err)
		}
	}
}

// Who reads old versions is counted, by name, within bounds, and also when many
// read at once; reads of the latest are not.
func TestUsage(t *testing.T) {
	t.Parallel()
	r := worked(t)
	e := oldEvent()
	if got, err := r.At(e, ""); err != nil || len(r.Usage()) != 0 {
		t.Fatalf("%v %v %v", got, err, r.Usage())
	}
	var wg sync.WaitGroup
	for i := range maxUsage + 50 {
		wg.Go(func() {
			reader, err := r.Reader(fmt.Sprintf("sub_%d", i), "tool.result@1")
			if err != nil {
				t.Error(err)
				return
			}
			for range 3 {
				if _, err := reader.Read(e); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	all, total := r.Usage(), int64(0)
	for _, one := range all {
		total += one.Count
		if one.Type != mgx.ToolReturned || one.Version != "1.0.0" || one.Last.IsZero() {
			t.Errorf("%+v", one)
		}
	}
	if total != 3*(maxUsage+50) || len(all) != maxUsage+1 {
		t.Errorf("%d reads by %d readers", total, len(all))
	}
}
