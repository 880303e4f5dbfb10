package client

import (
	"context"
	"encoding/json"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"mgx"
)

// Audit is the audit log of the workspace.
type Audit struct{ c *Client }

// Audit is what can be done with the audit log.
func (c *Client) Audit() Audit { return Audit{c} }

// AuditEntry is an entry of the audit log.
type AuditEntry struct {
	Sequence int64     `json:"sequence"`
	Time     time.Time `json:"timestamp"`
	ID       string    `json:"event_id"`
	Version  string    `json:"version,omitempty"`
	mgx.AuditData
}

// AuditQuery chooses entries. What is empty chooses all.
type AuditQuery struct {
	Actor  string
	Action string // a glob: "key.*"
	Denied bool
	Since  time.Time
	Until  time.Time
}

// Entries yields chosen entries, the oldest first.
func (a Audit) Entries(ctx context.Context, q AuditQuery) iter.Seq2[AuditEntry, error] {
	v := url.Values{"limit": {"500"}}
	for name, text := range map[string]string{"actor": q.Actor, "action": q.Action, "since": moment(q.Since), "until": moment(q.Until)} {
		if text != "" {
			v.Set(name, text)
		}
	}
	if q.Denied {
		v.Set("denied", "true")
	}
	return each[AuditEntry](ctx, a.c, "/api/v1/audit", "entries", v)
}

// AuditReport is what reading the log over found.
type AuditReport struct {
	Workspace mgx.WorkspaceID `json:"workspace_id"`
	Entries   int64           `json:"entries"`
	Removed   int64           `json:"removed"`
	Erased    int64           `json:"erased"`
	// ErasedBefore are those without details from before erasures were recorded.
	ErasedBefore int64    `json:"erased_before"`
	Checkpoints  int      `json:"checkpoints"`
	Covered      int64    `json:"covered"`
	Problems     []string `json:"problems"`
}

// Verify has the server read the log over. It says what the server found: who does
// not take its word for it checks proofs.
func (a Audit) Verify(ctx context.Context) (r AuditReport, err error) {
	ctx, stop := context.WithTimeout(ctx, fileWait)
	defer stop()
	req, err := a.c.request(ctx, http.MethodGet, "/api/v1/audit/verification", nil, nil)
	if err != nil {
		return r, err
	}
	return r, a.c.do(ctx, req, &r)
}

// Sign has the server sign how the log stands and returns the last checkpoint.
func (a Audit) Sign(ctx context.Context) (c mgx.AuditCheckpoint, err error) {
	return c, a.c.send(ctx, http.MethodPost, "/api/v1/audit/checkpoints", nil, nil, &c)
}

// Key returns the public key that checkpoints are checked with, as the server says.
func (a Audit) Key(ctx context.Context) (string, error) {
	var page struct {
		Key string `json:"public_key"`
	}
	err := a.c.get(ctx, "/api/v1/audit/checkpoints", url.Values{"limit": {"1"}}, &page)
	return page.Key, err
}

// Prove proves that an entry is in the log, to whoever has the public key. The
// proof is JSON that mgx audit check takes.
func (a Audit) Prove(ctx context.Context, sequence int64) (proof json.RawMessage, err error) {
	return proof, a.c.get(ctx, "/api/v1/audit/"+strconv.FormatInt(sequence, 10)+"/proof", nil, &proof)
}
