package client

import (
	"context"
	"crypto/rand"
	"net/http"
	"net/url"
	"time"

	"mgx"
)

// Review is what people say about the change of a run.
type Review struct {
	Files    []ReviewedFile `json:"files"`
	Comments []Comment      `json:"comments"`
	Asked    *mgx.Approval  `json:"asked,omitempty"` // the delivery that is asked about now
	ByFile   bool           `json:"by_file"`         // the delivery needs an approval of each file
}

// ReviewedFile is one file of it.
type ReviewedFile struct {
	Path     string     `json:"path"`
	Digest   string     `json:"digest"`             // of its part of the difference
	Approved *Approving `json:"approved,omitempty"` // as it is; nil: by nobody
	Lapsed   bool       `json:"lapsed,omitempty"`   // it changed after it was approved
	Open     int        `json:"open_comments"`
}

// Approving is by whom a file was approved, and when.
type Approving struct {
	By mgx.UserID `json:"by"`
	At time.Time  `json:"at"`
}

// Comment is a remark on a line.
type Comment struct {
	ID       string     `json:"id"`
	By       mgx.UserID `json:"by"`
	At       time.Time  `json:"at"`
	File     string     `json:"file"`
	Side     string     `json:"side"` // old or new
	Line     int        `json:"line"`
	Quote    string     `json:"quote"` // the line as it was then
	Text     string     `json:"text"`
	State    string     `json:"state"` // open, sent, closed
	StepBy   mgx.UserID `json:"state_by,omitempty"`
	Outdated bool       `json:"outdated,omitempty"`
}

// NewComment is a remark to make.
type NewComment struct {
	File string `json:"file"`
	Side string `json:"side,omitempty"` // old or new; empty: new
	Line int    `json:"line"`
	Text string `json:"text"`
}

// Review is what people say about a run's change.
func (r Runs) Review(ctx context.Context, id mgx.RunID) (v Review, err error) {
	return v, r.c.get(ctx, runPath(id)+"/review", nil, &v)
}

// Comment remarks something on a line of a run's change.
func (r Runs) Comment(ctx context.Context, id mgx.RunID, n NewComment) (c Comment, err error) {
	return c, r.c.create(ctx, runPath(id)+"/comments", rand.Text(), n, &c)
}

// CloseComment takes a comment back, or says that it is settled.
func (r Runs) CloseComment(ctx context.Context, id mgx.RunID, comment string) error {
	return r.c.send(ctx, http.MethodPost, runPath(id)+"/comments/"+url.PathEscape(comment)+"/close", nil, nil, nil)
}

// ApproveFile approves a file as it was looked at, or takes that back.
func (r Runs) ApproveFile(ctx context.Context, id mgx.RunID, file, digest string, approved bool) error {
	body := map[string]any{"file": file, "digest": digest, "approved": approved}
	return r.c.send(ctx, http.MethodPut, runPath(id)+"/files", nil, body, nil)
}

// Changes are what somebody wants to be different in a run's change.
type Changes struct {
	Reason   string `json:"reason"`             // in words
	Approval string `json:"approval,omitempty"` // of the delivery that this answers; empty: the one that is asked about
	Hash     string `json:"hash,omitempty"`     // of what was looked at
}

// RequestChanges sends the agents what should be different, with all open comments.
func (r Runs) RequestChanges(ctx context.Context, id mgx.RunID, c Changes) error {
	return r.c.create(ctx, runPath(id)+"/changes", rand.Text(), c, nil)
}
