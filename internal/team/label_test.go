package team

import (
	"encoding/json"
	"reflect"
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
