package api

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"mgx"
	"mgx/internal/app"
	"mgx/internal/audit"
)

func (s *Server) auditRoutes() []route {
	const group = "Audit log"
	return []route{
		op("GET /api/v1/audit", to("read", "audit"), with(s.audit, listAudit), about{
			ID: "listAuditEntries", Group: group, Short: "List the audit log of the workspace, oldest first", Codes: codes{"bad_glob": 400},
			Long: "Acts on people and on the installation are in the log of the default workspace. A page looks at 50,000 entries at the most: with a filter it may hold fewer than there are, and name a next one all the same.",
		}),
		plain[auditExportIn, textOut]("GET /api/v1/audit/export", s.exportAudit, to("read", "audit"), about{
			ID: "exportAudit", Types: []string{"text/csv"}, Group: group, Short: "Write the audit log out, as lines of JSON or as CSV", Type: "application/jsonl", Codes: codes{"bad_glob": 400},
		}, stream),
		op("GET /api/v1/audit/verification", to("read", "audit"), with(s.audit, verifyAudit), about{
			ID: "verifyAudit", Group: group, Short: "Read the log over: is it what was signed?",
			Long: "Counts what this server signed, and takes as long as there is to read: a minute for a few hundred thousand entries. With checkpoints from a second place a log is read over where the data is: `mgx audit verify`.",
		}, stream),
		op("GET /api/v1/audit/checkpoints", to("read", "audit"), with(s.audit, listCheckpoints), about{
			ID: "listAuditCheckpoints", Group: group, Short: "List the signed checkpoints, oldest first, and the key they are checked with",
		}),
		op("POST /api/v1/audit/checkpoints", to("manage", "audit"), with(s.audit, signAudit), about{
			ID: "signAudit", Group: group, Short: "Sign how the log stands now, and show the last checkpoint",
		}),
		op("GET /api/v1/audit/{sequence}", to("read", "audit"), with(s.audit, getAudit), about{
			ID: "getAuditEntry", Group: group, Short: "Show one entry",
		}),
		op("GET /api/v1/audit/{sequence}/proof", to("read", "audit"), with(s.audit, proveAudit), about{
			ID: "proveAuditEntry", Group: group, Short: "Prove to others that an entry is in the log",
			Long: "Whoever has the public key checks it without this server: `mgx audit check`.", Codes: codes{"not_signed_yet": 400},
		}),
	}
}

// audit is the log of the workspace of whoever asks.
func (s *Server) audit(ctx context.Context) (*app.Audit, error) {
	if s.o.Audit == nil {
		return nil, mgx.Errorf(mgx.KindUsage, mgx.CodeNotFound, "this server keeps no audit log")
	}
	theirs := *s.o.Audit
	theirs.By = actor(ctx).Doer()
	return &theirs, nil
}

// AuditChoice chooses entries. It is embedded in inputs.
type AuditChoice struct {
	Actor  string    `query:"actor" doc:"Only what this person or key did" maxLength:"200"`
	Action string    `query:"action" doc:"Only acts like this pattern" maxLength:"200" example:"key.*"`
	Denied bool      `query:"denied" doc:"Only what was refused"`
	Since  time.Time `query:"since" doc:"From this time on"`
	Until  time.Time `query:"until" doc:"Before this time"`
}

func (f AuditChoice) filter() app.AuditFilter { return app.AuditFilter(f) }

type auditIn struct {
	AuditChoice
	Limit int   `query:"limit" doc:"How many at most" minimum:"1" maximum:"1000" default:"100"`
	Page  int64 `query:"page_token" doc:"The next_page_token of the page before" minimum:"0"`
}

type auditOut struct {
	Body struct {
		Entries []app.AuditEntry `json:"entries"`
		Next    string           `json:"next_page_token,omitempty" doc:"Of the next page, if there may be one"`
	} `nameHint:"AuditPage"`
}

func listAudit(ctx context.Context, a *app.Audit, in *auditIn) (*auditOut, error) {
	all, next, err := a.Page(ctx, in.filter(), in.Page, in.Limit)
	out := &auditOut{}
	out.Body.Entries = every(all)
	if next > 0 {
		out.Body.Next = strconv.FormatInt(next, 10)
	}
	return out, err
}

type auditExportIn struct {
	AuditChoice
	Format string `query:"format" doc:"Of the lines" enum:"json,csv" default:"json"`
}

// exportAudit writes as long as there is somebody who reads.
func (s *Server) exportAudit(w http.ResponseWriter, r *http.Request) error {
	a, err := s.audit(r.Context())
	if err != nil {
		return err
	}
	q := r.URL.Query()
	f := app.AuditFilter{Actor: q.Get("actor"), Action: q.Get("action"), Denied: q.Get("denied") == "true"}
	for name, at := range map[string]*time.Time{"since": &f.Since, "until": &f.Until} {
		if text := q.Get(name); text != "" {
			if *at, err = time.Parse(time.RFC3339Nano, text); err != nil {
				return badQuery("%s takes a time such as 2026-11-01T00:00:00Z", name)
			}
		}
	}
	out := newExport(w, "audit")
	switch format := q.Get("format"); format {
	case "csv":
		out.is("text/csv; charset=utf-8; header=present", "csv")
		return a.Export(r.Context(), f, format, out)
	case "", "json":
		out.is(typeLines, "jsonl")
		return a.Export(r.Context(), f, "json", out)
	}
	return badQuery("format takes json or csv")
}

type auditReportOut struct {
	Body audit.Report
}

func verifyAudit(ctx context.Context, a *app.Audit, _ *none) (*auditReportOut, error) {
	r, err := a.Verify(ctx)
	return &auditReportOut{r}, err
}

type checkpointsIn struct {
	Limit int   `query:"limit" doc:"How many at most" minimum:"1" maximum:"1000" default:"100"`
	Page  int64 `query:"page_token" doc:"The next_page_token of the page before" minimum:"0"`
}

type checkpointsOut struct {
	Body struct {
		Key         string                `json:"public_key" doc:"As mgx audit check takes it"`
		Checkpoints []mgx.AuditCheckpoint `json:"checkpoints"`
		Next        string                `json:"next_page_token,omitempty" doc:"Of the next page, if there may be one"`
	} `nameHint:"AuditCheckpointPage"`
}

func listCheckpoints(ctx context.Context, a *app.Audit, in *checkpointsIn) (*checkpointsOut, error) {
	all, key, err := a.Checkpoints(ctx, in.Page, in.Limit)
	out := &checkpointsOut{}
	out.Body.Key, out.Body.Checkpoints = key, every(all)
	if len(all) == in.Limit {
		out.Body.Next = strconv.FormatInt(all[len(all)-1].Size, 10)
	}
	return out, err
}

type checkpointOut struct {
	Body mgx.AuditCheckpoint
}

func signAudit(ctx context.Context, a *app.Audit, _ *none) (*checkpointOut, error) {
	c, err := a.Sign(ctx)
	return &checkpointOut{c}, err
}

// AtEntry is the path of an audit entry.
type AtEntry struct {
	Sequence int64 `path:"sequence" doc:"Its number" minimum:"1"`
}

type auditEntryOut struct {
	Body app.AuditEntry
}

func getAudit(ctx context.Context, a *app.Audit, in *AtEntry) (*auditEntryOut, error) {
	e, err := a.Entry(ctx, in.Sequence)
	return &auditEntryOut{e}, err
}

type proofOut struct {
	Body audit.Proof
}

func proveAudit(ctx context.Context, a *app.Audit, in *AtEntry) (*proofOut, error) {
	p, err := a.Prove(ctx, in.Sequence)
	return &proofOut{p}, err
}
