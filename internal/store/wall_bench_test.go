package store

import (
	"context"
	"fmt"
	"testing"
	"time"

	"mgx"
)

// BenchmarkWall measures what the second wall costs: each act is done for the
// installation and for tenants, one after the other in the same run. Where two
// tenants take turns on a connection, each has to be announced.
func BenchmarkWall(b *testing.B) {
	s := towns(b)
	s.reads.walled.SetMaxOpenConns(1)
	for i := range 200 {
		by := mgx.Doer{Workspace: []mgx.WorkspaceID{wsA, wsB}[i%2], Actor: "a"}
		if err := s.PutRole(b.Context(), by, mgx.Role{Workspace: by.Workspace, Name: fmt.Sprint("r", i/2%90), Policy: "permit(principal, action, resource);"}); err != nil {
			b.Fatal(err)
		}
	}
	acts := map[string]func(context.Context, mgx.WorkspaceID) error{
		"one": func(ctx context.Context, ws mgx.WorkspaceID) error {
			_, err := s.Member(ctx, ws, mgx.UserID("user_"+ws))
			return err
		},
		"list": func(ctx context.Context, ws mgx.WorkspaceID) error { _, err := s.Roles(ctx, ws); return err },
		"events": func(ctx context.Context, ws mgx.WorkspaceID) error {
			_, err := s.Events(ctx, EventQuery{Workspace: ws, Limit: 100})
			return err
		},
		"act": func(ctx context.Context, ws mgx.WorkspaceID) error {
			return s.RenameWorkspace(ctx, mgx.Doer{Workspace: ws, Actor: "a"}, ws, "n")
		},
	}
	for name, act := range acts {
		b.Run(name, func(b *testing.B) {
			plain := func(mgx.WorkspaceID) context.Context { return context.Background() }
			walled := func(ws mgx.WorkspaceID) context.Context { return mgx.InWorkspace(context.Background(), ws) }
			each := map[string]float64{}
			for _, w := range []struct {
				name string
				ctx  func(mgx.WorkspaceID) context.Context
				turn int
			}{{"without", plain, 1}, {"one tenant", walled, 1}, {"two take turns", walled, 2}} {
				r := func(n int) {
					for i := range n {
						ws := []mgx.WorkspaceID{wsA, wsB}[i%w.turn]
						if err := act(w.ctx(ws), ws); err != nil {
							b.Fatal(err)
						}
					}
				}
				r(20)
				b.Run(w.name, func(b *testing.B) {
					r(b.N)
					each[w.name] = float64(b.Elapsed()) / float64(b.N)
				})
			}
			if base := each["without"]; base > 0 {
				fmt.Printf("second wall, %s: %.0f µs without; x%.2f for one tenant, x%.2f for two who take turns\n", name, base/1e3, each["one tenant"]/base, each["two take turns"]/base)
			}
		})
	}
}

// BenchmarkTakes measures what it costs to ask whether a workspace is erased: the same act
// is done by turns in the default workspace, of which nobody asks, and in another.
func BenchmarkTakes(b *testing.B) {
	s := towns(b)
	spent := map[mgx.WorkspaceID]time.Duration{}
	n := 0
	for b.Loop() {
		n++
		for _, ws := range []mgx.WorkspaceID{mgx.DefaultWorkspace, wsA} {
			began := time.Now()
			act := mgx.NewAudit(ws, mgx.AuditData{Actor: "a", Action: "role.put", Resource: "r", Decision: mgx.AuditAllowed})
			if _, err := s.Commit(b.Context(), mgx.Change{Events: []mgx.Event{act}}); err != nil {
				b.Fatal(err)
			}
			spent[ws] += time.Since(began)
		}
	}
	b.ReportMetric(float64(spent[mgx.DefaultWorkspace].Microseconds())/float64(n), "us/default")
	b.ReportMetric(float64(spent[wsA].Microseconds())/float64(n), "us/other")
	b.ReportMetric(float64(spent[wsA])/float64(spent[mgx.DefaultWorkspace]), "other/default")
}
