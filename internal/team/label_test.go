package team

import (
	"context"
	"encoding/json"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"mgx"
	"mgx/internal/agent"
	"mgx/internal/sandbox"
	"mgx/internal/tool"
)

func covers(a, b mgx.Label) bool { return reflect.DeepEqual(a.Join(b), a) }

// TestFilesKeepWhereTheirTextCameFrom follows calls that write: whoever reads a
// file later is told by the same hosts and servers, whichever agent wrote it, and
// a journal read anew says the same.
func TestFilesKeepWhereTheirTextCameFrom(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		live, again := &run{}, &run{}
		var want mgx.Label
		for range rapid.IntRange(1, 8).Draw(t, "calls") {
			host := rapid.SampledFrom([]string{"a.example", "b.example"}).Draw(t, "host")
			context := mgx.Label{
				Untrusted: rapid.Bool().Draw(t, "untrusted"), Secrecy: rapid.SampledFrom([]mgx.Confidentiality{mgx.Public, mgx.Private, mgx.Secret}).Draw(t, "secrecy"),
				Sources: rapid.SampledFrom([][]string{nil, {"mcp:tracker"}, {"user"}}).Draw(t, "sources"),
			}
			visit := sandbox.Visit{Host: host, Allowed: rapid.Bool().Draw(t, "allowed")}
			out := agent.Outcome{Tree: "t", Label: new(withHosts(labelOf(tool.Spec{Effect: tool.Execute}).Join(live.inFiles()), []sandbox.Visit{visit}))}
			if rapid.IntRange(0, 9).Draw(t, "forgotten") == 0 {
				out.Label = nil
			} else if visit.Allowed {
				want = want.Join(mgx.Label{Untrusted: true, Sources: []string{"web:" + host}})
			}
			want = want.Join(mgx.Label{Untrusted: context.Untrusted, Secrecy: context.Secrecy})
			if context.Sources != nil && context.Sources[0] != "user" {
				want = want.Join(mgx.Label{Sources: context.Sources})
			}
			recorded, err := json.Marshal(out)
			if err != nil {
				t.Fatal(err)
			}
			live.wrote(context, labelIn(out))
			var read agent.Outcome
			if err := json.Unmarshal(recorded, &read); err != nil {
				t.Fatal(err)
			}
			again.wrote(context, labelIn(read))
			for _, effect := range []tool.Effect{tool.Read, tool.Execute, tool.Network} {
				if got := labelOf(tool.Spec{Effect: effect}).Join(live.inFiles()); !covers(got, want) || !got.Untrusted {
					t.Fatalf("a result has %+v, which does not cover %+v", got, want)
				}
			}
		}
		if !reflect.DeepEqual(live.inFiles(), again.inFiles()) {
			t.Fatalf("live %+v, from the journal %+v", live.inFiles(), again.inFiles())
		}
	})
}

// TestWhatACallLeaves says after which calls a file or a kept output may hold what came
// from elsewhere: also of an agent that may change nothing, whose long outputs are kept.
func TestWhatACallLeaves(t *testing.T) {
	t.Parallel()
	own, web := &mgx.Label{}, &mgx.Label{Untrusted: true}
	for _, c := range []struct {
		name   string
		spec   *tool.Spec
		status tool.Status
		label  *mgx.Label
		want   bool
	}{
		{"a program", &tool.Spec{Effect: tool.Execute}, tool.Success, web, true},
		{"a program that failed", &tool.Spec{Effect: tool.Execute}, tool.Failure, web, true},
		{"a program whose files were put back", &tool.Spec{Effect: tool.Execute}, tool.Denied, web, true},
		{"a program that was not run", &tool.Spec{Effect: tool.Execute}, tool.Denied, own, false},
		{"an edit", &tool.Spec{Effect: tool.Write}, tool.Success, web, true},
		{"a tool outside that reads", &tool.Spec{Effect: tool.Read, Source: "mcp:x"}, tool.Success, web, true},
		{"a file that is read", &tool.Spec{Effect: tool.Read}, tool.Success, web, false},
		{"no tool", nil, tool.Denied, own, false},
		{"a label that was forgotten", &tool.Spec{Effect: tool.Execute}, tool.Denied, nil, true},
	} {
		call := agent.Call{}
		if c.spec != nil {
			call.Tool = named{*c.spec}
		}
		if got := leaves(call, agent.Outcome{Result: tool.Result{Status: c.status}, Label: c.label}); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

type named struct{ spec tool.Spec }

func (n named) Spec() tool.Spec { return n.spec }

func (named) Call(context.Context, *tool.Workspace, json.RawMessage) (tool.Result, error) {
	return tool.Result{}, nil
}

// TestAHostThatWasNotToldApartIsAny has a command reach more hosts than are told apart.
func TestAHostThatWasNotToldApartIsAny(t *testing.T) {
	t.Parallel()
	l := withHosts(fromProgram, []sandbox.Visit{{Allowed: true, Reason: "others"}})
	if want := []string{mgx.SourceProgram, mgx.SourceWeb}; !slices.Equal(l.Sources, want) {
		t.Errorf("from %q, want %q", l.Sources, want)
	}
}

// TestChecksSayWhereTheirOutputCameFrom reads records of checks anew, under settings that
// a fork changed.
func TestChecksSayWhereTheirOutputCameFrom(t *testing.T) {
	t.Parallel()
	var recorded checked
	if err := json.Unmarshal([]byte(`{"name":"x","status":"failed","label":{"untrusted":true,"confidentiality":"private","sources":["program","web:evil.example"]}}`), &recorded); err != nil {
		t.Fatal(err)
	}
	if got := recorded.labelOf(&run{}); !reflect.DeepEqual(got, *recorded.Label) || recorded.Status != "failed" {
		t.Errorf("of a record: %+v", recorded)
	}
	r := &run{in: Input{Settings: mgx.RunSettings{AllowHosts: []string{"a.example:443"}}}}
	if got := (checked{}).labelOf(r); !got.Untrusted || !slices.Contains(got.Sources, "web") {
		t.Errorf("of a record without a label: %+v", got)
	}
}

// TestChecksLeaveWhatTheyFetched has checks fetch a page, which the caches keep.
func TestChecksLeaveWhatTheyFetched(t *testing.T) {
	t.Parallel()
	w := &work{run: &run{}}
	web := withHosts(fromProgram.Join(fromAttachment), []sandbox.Visit{{Host: "a.example", Allowed: true}})
	w.ran(checked{CheckResult: mgx.CheckResult{Status: "passed"}, Label: &fromProgram})
	w.ran(checked{CheckResult: mgx.CheckResult{Status: refused}, Label: &web})
	if got := w.inFiles(); !reflect.DeepEqual(got, mgx.Label{}) {
		t.Errorf("before: %+v", got)
	}
	w.ran(checked{CheckResult: mgx.CheckResult{Status: "failed"}, Label: &web})
	if got := w.inFiles(); !got.Untrusted || !slices.Equal(got.Sources, []string{"web:a.example"}) || !covers(w.printed, web) {
		t.Errorf("%+v, printed %+v", got, w.printed)
	}
}

// TestACommitSaysWhatWentIntoIt has files written after texts of all kinds were read.
func TestACommitSaysWhatWentIntoIt(t *testing.T) {
	t.Parallel()
	r := &run{}
	r.wrote(fromUser, fromRepository, fromProgram)
	if got := r.readFrom(); got != "" {
		t.Errorf("of what is the repository's: %q", got)
	}
	r.wrote(mgx.Label{Sources: []string{"web:b.corp.example", "mcp:tracker", "web:a.example"}}, fromAttachment)
	if got := r.readFrom(); got != "Read-From: attachment, mcp, web\n" {
		t.Errorf("of all: %q", got)
	}
}

func TestUnknownConversationIsTheWorst(t *testing.T) {
	t.Parallel()
	h := host{r: &run{}}
	h.r.saw("a", fromUser)
	if got := h.label("a"); !reflect.DeepEqual(got, fromUser) {
		t.Errorf("known: %+v", got)
	}
	if got := h.label("b"); !got.Untrusted || got.Secrecy != mgx.Secret {
		t.Errorf("unknown: %+v", got)
	}
	for _, s := range []tool.Spec{{}, {Effect: "new"}, {Effect: tool.Read, Source: "mcp:x"}} {
		if l := labelOf(s); !l.Untrusted || l.Secrecy == mgx.Public {
			t.Errorf("%+v has %+v", s, l)
		}
	}
}
