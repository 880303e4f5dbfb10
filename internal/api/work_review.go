package api

import (
	"context"
	"maps"

	"mgx"
	"mgx/internal/app"
)

// reviewRoutes are how people look through what a run has changed.
func (s *Server) reviewRoutes() []route {
	const group = "Reviews"
	ended := codes{"already_ended": 400, "too_many_remarks": 400, mgx.CodeErased: 410}
	also := func(more codes) codes {
		all := codes{}
		for _, some := range []codes{ended, more} {
			maps.Copy(all, some)
		}
		return all
	}
	return []route{
		op("GET /api/v1/runs/{id}/review", to("read", "artifacts"), with(s.work, getReview), about{
			ID: "getReview", Group: group, Short: "Show what people say about the change of a run", Codes: codes{mgx.CodeErased: 410},
			Long: "Each file has the digest of its part of the difference: an approval is of exactly that.",
		}, finer),
		op("POST /api/v1/runs/{id}/comments", to("approve", "runs"), with(s.work, makeComment), about{
			ID: "commentRun", Group: group, Short: "Comment on a line of what a run has changed", Status: 201,
			Codes: also(codes{"bad_line": 400, "empty_comment": 400, "comment_too_long": 400, "too_many_comments": 400}),
			Long:  "It reaches the agents when somebody requests changes. Until then, or until it is closed, the delivery cannot be approved. With an Idempotency-Key it is made once.",
		}, finer),
		op("POST /api/v1/runs/{id}/comments/{comment}/close", to("approve", "runs"), with(s.work, closeComment), about{
			ID: "closeComment", Group: group, Short: "Take a comment back, or say that it is settled", Status: 204, Codes: ended,
			Long: "One that is not open is left as it is.",
		}, finer),
		op("PUT /api/v1/runs/{id}/files", to("approve", "runs"), with(s.work, approveFile), about{
			ID: "approveFile", Group: group, Short: "Approve a file of what a run has changed, or take that back", Status: 204, Codes: also(codes{"conflict": 409}),
			Long: "It counts for the part of the difference that has the digest, and nothing else. Once a file is approved, the delivery can be approved only when each file is.",
		}, finer),
		op("POST /api/v1/runs/{id}/changes", to("approve", "runs"), with(s.work, requestChanges), about{
			ID: "requestChanges", Group: group, Short: "Send the agents what should be different, with all open comments", Status: 202,
			Codes: codes{"already_ended": 400, "nothing_requested": 400, "too_many_comments": 400, "bad_reason": 400, "bad_changes": 400, "no_such_approval": 400, "several_pending": 400, "nothing_to_decide": 400, "other_hash": 403, app.CodeDecided: 409, mgx.CodeErased: 410},
			Long:  "Where the delivery is asked about this is the answer: the change is made, checked and reviewed, and asked about again. Otherwise the agent that leads hears it before its next turn. With an Idempotency-Key it is said once.",
		}, finer),
	}
}

type reviewOut struct {
	Body app.Review
}

func getReview(ctx context.Context, w *app.Work, in *At[mgx.RunID]) (*reviewOut, error) {
	r, err := w.Review(ctx, actor(ctx), in.ID)
	r.Files, r.Comments = every(r.Files), every(r.Comments)
	return &reviewOut{r}, err
}

type commentIn struct {
	At[mgx.RunID]
	Body struct {
		File string `json:"file" doc:"Name of the file" minLength:"1" maxLength:"4096" example:"server.go"`
		Side string `json:"side,omitempty" doc:"Of which side of the difference the line is; new when it is left out" enum:"old,new"`
		Line int    `json:"line" doc:"Number of the line on that side" minimum:"1"`
		Text string `json:"text" doc:"What should be different" minLength:"1" maxLength:"4096" example:"Keep the old flag as an alias."`
	} `nameHint:"NewComment"`
}

type commentOut struct {
	Body app.Comment
}

func makeComment(ctx context.Context, w *app.Work, in *commentIn) (*commentOut, error) {
	b := in.Body
	c, err := w.Comment(ctx, actor(ctx), in.ID, app.NewComment{File: b.File, Side: b.Side, Line: b.Line, Text: b.Text, Key: requestOf(ctx).Header.Get(keyHeader)})
	return &commentOut{c}, err
}

type closeIn struct {
	At[mgx.RunID]
	Comment string `path:"comment" doc:"Id of the comment" maxLength:"200"`
}

func closeComment(ctx context.Context, w *app.Work, in *closeIn) (*none, error) {
	return &none{}, w.CloseComment(ctx, actor(ctx), in.ID, in.Comment)
}

type approveIn struct {
	At[mgx.RunID]
	Body struct {
		File     string `json:"file" doc:"Name of the file" minLength:"1" maxLength:"4096" example:"server.go"`
		Digest   string `json:"digest" doc:"Of what was looked at" minLength:"1" maxLength:"200"`
		Approved bool   `json:"approved" doc:"Approve it, or take that back"`
	} `nameHint:"FileApproval"`
}

func approveFile(ctx context.Context, w *app.Work, in *approveIn) (*none, error) {
	return &none{}, w.ApproveFile(ctx, actor(ctx), in.ID, in.Body.File, in.Body.Digest, in.Body.Approved)
}

type changesIn struct {
	At[mgx.RunID]
	Body struct {
		Reason   string `json:"reason,omitempty" doc:"What should be different, in words; may be left out when comments are open" maxLength:"16384"`
		Approval string `json:"approval,omitempty" doc:"Id of the approval of the delivery that this answers; without it the one that is asked about now" maxLength:"200"`
		Hash     string `json:"hash,omitempty" doc:"Of what was looked at" maxLength:"200"`
	} `nameHint:"RequestedChanges"`
}

func requestChanges(ctx context.Context, w *app.Work, in *changesIn) (*none, error) {
	b := in.Body
	return &none{}, w.RequestChanges(ctx, actor(ctx), in.ID, app.Changes{Reason: b.Reason, Approval: b.Approval, Hash: b.Hash, Key: requestOf(ctx).Header.Get(keyHeader)})
}
