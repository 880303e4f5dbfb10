package main

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"mgx"
	"mgx/client"
	"mgx/internal/app"
	"mgx/internal/ui"
)

// reviews is how people look through the change of a run, where it works.
type reviews interface {
	Review(ctx context.Context, id mgx.RunID) (app.Review, error)
	Comment(ctx context.Context, id mgx.RunID, n app.NewComment) (app.Comment, error)
	CloseComment(ctx context.Context, id mgx.RunID, comment string) error
	ApproveFile(ctx context.Context, id mgx.RunID, file, digest string, approved bool) error
	RequestChanges(ctx context.Context, id mgx.RunID, words string) error
}

// reviewFlags are what mgx review is told to do; nothing: to show.
type reviewFlags struct {
	comment, close, approve, back, request string
	old                                    bool
}

func (c *cli) reviewCommand() *cobra.Command {
	var f reviewFlags
	cmd := &cobra.Command{
		Use:   "review RUN [TEXT]",
		Short: "Look through what a run has changed: comment, approve files, request changes",
		Long: `Shows the files that a run has changed, who approved them, and the comments on their lines.

  mgx review RUN --comment FILE:LINE "keep the old flag"   comment on a line that mgx diff shows
  mgx review RUN --approve-file FILE                       approve a file as it is
  mgx review RUN --request "nearly; see my comments"       send the agents that, with all open comments

Where the delivery is asked about (see mgx help policy), --request is the answer: the team makes
the changes and asks again. The delivery can be approved when no comment is open and, once somebody
approves this change file by file, when each file is approved as it is.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 1 || len(args) == 2 && f.comment != "" {
				return nil
			}
			return usage("bad_arguments", `mgx review takes a run, and with --comment what to say, for example: mgx review RUN --comment main.go:12 "keep the old flag"; got %d arguments`, len(args))
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withRunOf(cmd.Context(), args[0], func(ctx context.Context, r runs, run mgx.Run) error {
				at, ok := r.(interface{ reviews() reviews })
				if !ok {
					return mgx.Errorf(mgx.KindInternal, "no_reviews", "runs cannot be reviewed here")
				}
				return c.review(ctx, at.reviews(), run.ID, f, append(args, "")[1], cmd.Flags().Changed("request"))
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.comment, "comment", "", "comment on a line, `FILE:LINE`")
	flags.BoolVar(&f.old, "old", false, "the line is one from before the change")
	flags.StringVar(&f.close, "close", "", "take a `comment` back, or say that it is settled")
	flags.StringVar(&f.approve, "approve-file", "", "approve a `file` as it is")
	flags.StringVar(&f.back, "take-back", "", "take back the approval of a `file`")
	flags.StringVar(&f.request, "request", "", "send the agents what should be different, in `words`, with all open comments")
	cmd.MarkFlagsMutuallyExclusive("comment", "close", "approve-file", "take-back", "request")
	return cmd
}

func (c *cli) review(ctx context.Context, r reviews, id mgx.RunID, f reviewFlags, text string, request bool) error {
	switch {
	case f.comment != "":
		return c.commentOn(ctx, r, id, f, text)
	case f.close != "":
		if err := r.CloseComment(ctx, id, f.close); err != nil {
			return err
		}
		c.tell("Closed %s.\n", f.close)
		return nil
	case f.approve != "" || f.back != "":
		return c.approveFile(ctx, r, id, cmp.Or(f.approve, f.back), f.approve != "")
	case request:
		if err := r.RequestChanges(ctx, id, f.request); err != nil {
			return err
		}
		c.tell("Sent to the agents of %s. Look on with: mgx resume %s%s\n", id, id, c.there())
		return nil
	}
	v, err := r.Review(ctx, id)
	if err != nil {
		return err
	}
	if c.json {
		return printJSON(c, v)
	}
	c.showReview(v)
	return nil
}

func (c *cli) commentOn(ctx context.Context, r reviews, id mgx.RunID, f reviewFlags, text string) error {
	i := strings.LastIndexByte(f.comment, ':')
	line, err := strconv.Atoi(f.comment[i+1:])
	if i <= 0 || err != nil {
		return usage("bad_line", "--comment takes FILE:LINE, for example main.go:12, not %q", f.comment)
	}
	n := app.NewComment{File: f.comment[:i], Line: line, Text: text, Side: app.SideNew}
	if f.old {
		n.Side = app.SideOld
	}
	made, err := r.Comment(ctx, id, n)
	if err != nil {
		return err
	}
	if c.json {
		return printJSON(c, made)
	}
	c.tell("Commented: %s. The agents get it with: mgx review %s --request \"words\"\n", made.ID, id)
	return nil
}

func (c *cli) approveFile(ctx context.Context, r reviews, id mgx.RunID, file string, approved bool) error {
	v, err := r.Review(ctx, id)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(v.Files, func(f app.ReviewedFile) bool { return f.Path == file })
	if i < 0 {
		return usage(mgx.CodeNotFound, "run %s does not change %q; mgx review %s lists what it changes", id, file, id)
	}
	if err := r.ApproveFile(ctx, id, file, v.Files[i].Digest, approved); err != nil {
		return err
	}
	word := "Approved"
	if !approved {
		word = "Took back the approval of"
	}
	c.tell("%s %s.\n", word, ui.Text(file))
	return nil
}

func (c *cli) showReview(v app.Review) {
	for _, f := range v.Files {
		state := "not approved"
		switch {
		case f.Approved != nil:
			state = "approved by " + string(f.Approved.By)
		case f.Lapsed:
			state = "changed since it was approved"
		}
		c.printf("%s  %s\n", ui.Text(f.Path), state)
	}
	for _, m := range v.Comments {
		c.printf("\n%s  %s:%d (%s)  %s by %s\n  %s\n", m.ID, ui.Text(m.File), m.Line, m.Side, m.State, m.By, strings.ReplaceAll(ui.Text(m.Text), "\n", "\n  "))
	}
}

func (o ownRuns) reviews() reviews { return ownReviews(o) }

// ownReviews are those of the data directory.
type ownReviews struct{ n *node }

func (o ownReviews) Review(ctx context.Context, id mgx.RunID) (app.Review, error) {
	return o.n.app.Review(ctx, o.n.me(), id)
}

func (o ownReviews) Comment(ctx context.Context, id mgx.RunID, n app.NewComment) (app.Comment, error) {
	return o.n.app.Comment(ctx, o.n.me(), id, n)
}

func (o ownReviews) CloseComment(ctx context.Context, id mgx.RunID, comment string) error {
	return o.n.app.CloseComment(ctx, o.n.me(), id, comment)
}

func (o ownReviews) ApproveFile(ctx context.Context, id mgx.RunID, file, digest string, approved bool) error {
	return o.n.app.ApproveFile(ctx, o.n.me(), id, file, digest, approved)
}

func (o ownReviews) RequestChanges(ctx context.Context, id mgx.RunID, words string) error {
	return o.n.app.RequestChanges(ctx, o.n.me(), id, app.Changes{Reason: words})
}

func (t theirRuns) reviews() reviews { return theirReviews{t.Runs} }

// theirReviews are those of a workspace at a server.
type theirReviews struct{ client.Runs }

func (t theirReviews) Review(ctx context.Context, id mgx.RunID) (app.Review, error) {
	v, err := t.Runs.Review(ctx, id)
	r := app.Review{Asked: v.Asked, ByFile: v.ByFile}
	for _, f := range v.Files {
		r.Files = append(r.Files, app.ReviewedFile{Path: f.Path, Digest: f.Digest, Approved: (*app.Approving)(f.Approved), Lapsed: f.Lapsed, Open: f.Open})
	}
	for _, m := range v.Comments {
		r.Comments = append(r.Comments, theirComment(m))
	}
	return r, err
}

func theirComment(m client.Comment) app.Comment {
	return app.Comment{ID: m.ID, By: m.By, At: m.At, File: m.File, Side: m.Side, Line: m.Line, Quote: m.Quote, Text: m.Text, State: m.State, StepBy: m.StepBy, Outdated: m.Outdated}
}

func (t theirReviews) Comment(ctx context.Context, id mgx.RunID, n app.NewComment) (app.Comment, error) {
	m, err := t.Runs.Comment(ctx, id, client.NewComment{File: n.File, Side: n.Side, Line: n.Line, Text: n.Text})
	return theirComment(m), err
}

func (t theirReviews) RequestChanges(ctx context.Context, id mgx.RunID, words string) error {
	return t.Runs.RequestChanges(ctx, id, client.Changes{Reason: words})
}
