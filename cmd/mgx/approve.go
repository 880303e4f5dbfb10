package main

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"mgx"
	"mgx/internal/app"
	"mgx/internal/team"
	"mgx/internal/ui"
)

func (c *cli) approveCommand() *cobra.Command {
	var reject, answer string
	d := app.Answer{Approved: true}
	cmd := &cobra.Command{
		Use:   "approve RUN [APPROVAL]",
		Short: "Decide what a run waits for",
		Long: `Decide what a run waits for: approve its plan or a tool call, reject it, or answer its
question. The decision counts only for exactly what mgx show displays. When several are
pending, name one as mgx show lists them. Without a name or --hash it is about what
the run waits for at that moment, which is printed. With --rest a tool call is allowed for the rest
of the run, in the same shape: a command word by word, the same files for the same tool,
anything else with the same arguments. What the team is to make different before it
delivers is said with: mgx review RUN --request "words". mgx resume goes on.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 1 || len(args) == 2 {
				return nil
			}
			return usage("bad_arguments", "mgx approve takes a run, and which of its approvals if there are several; got %d arguments", len(args))
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			rejected, answered := cmd.Flags().Changed("reject"), cmd.Flags().Changed("answer")
			if rejected && answered {
				return usage("bad_flag", "--reject and --answer exclude each other")
			}
			d.Approved, d.Reason = !rejected, cmp.Or(reject, answer)
			if len(args) == 2 {
				d.Approval = args[1]
			}
			// An empty name or hash is one that a script failed to fill in, and no word for whatever waits.
			if d.Approval == "" && len(args) == 2 || d.Hash == "" && cmd.Flags().Changed("hash") {
				return usage("bad_arguments", "the approval that was named, or its --hash, is empty; see: mgx show %s", args[0])
			}
			return c.withRunOf(cmd.Context(), args[0], func(ctx context.Context, r runs, run mgx.Run) error {
				return c.decide(ctx, r, run, d)
			})
		},
	}
	cmd.Flags().StringVar(&reject, "reject", "", "reject it, and say `why`")
	cmd.Flags().StringVar(&answer, "answer", "", "answer its question with `text`")
	cmd.Flags().BoolVar(&d.Rest, "rest", false, "allow the same for the rest of the run")
	cmd.Flags().StringVar(&d.Hash, "hash", "", "decide only if what is proposed has this `hash`")
	return cmd
}

func (c *cli) decide(ctx context.Context, r runs, run mgx.Run, d app.Answer) error {
	ask, err := app.Pending(run, d.Approval)
	if err != nil {
		return err
	}
	d.Approval, d.Hash = ask.ID, cmp.Or(d.Hash, ask.Hash)
	if err := r.Decide(ctx, run.ID, d); err != nil {
		return err
	}
	verb := "Approved"
	if !d.Approved {
		verb = "Rejected"
	}
	c.tell("%s: %s\n", verb, ui.Text(ask.Effect)) // it may be another than the person looked at
	if c.at.server != "" {
		c.tell("The server goes on; look on with: mgx resume %s%s\n", run.ID, c.there())
	} else {
		c.tell("Go on with: mgx resume %s\n", run.ID)
	}
	return nil
}

// prompt asks the person at the terminal for a decision that a run waits for: the
// one that has waited longest. It reports whether one was made. What cannot be
// decided so, since comments are open for example, is said, and asked again.
func (c *cli) prompt(ctx context.Context, r runs, run mgx.Run, watch *watcher) (bool, error) {
	release := watch.hold()
	defer release()
	for {
		d, decided := c.put(ctx, *run.Approval)
		if !decided {
			return false, nil
		}
		err := r.Decide(ctx, run.ID, d)
		if err == nil || !slices.ContainsFunc(askedAgain, func(code string) bool { return mgx.IsCode(err, code) }) {
			return true, err
		}
		c.tell("%s.\n", mgx.AsError(err).Message)
	}
}

// askedAgain are the codes of answers that do not fit how the change stands.
var askedAgain = []string{app.CodeOpenComments, app.CodeNotApproved, app.CodeNothingRequested, "bad_reason"}

// put puts to the person what a run waits for. Who answers nothing, or later, lets
// it wait; conclude says how to go on.
func (c *cli) put(ctx context.Context, ask mgx.Approval) (d app.Answer, decided bool) {
	question, isQuestion := strings.CutPrefix(ask.Effect, team.QuestionPrefix)
	isQuestion = isQuestion && ask.Call == nil
	switch {
	case isQuestion:
		fmt.Fprintf(c.err, "\n%s\nAnswer (empty: let the agent decide): ", ui.Text(question))
	case app.Delivers(ask):
		fmt.Fprintf(c.err, "\n%s\nApprove? [y]es, [c]hanges: the team makes them and asks again, [r]est: also the same for the rest of the run (%s), [l]ater, or no and why: ", ui.Proposal(*ask.Call), ui.Text(ask.Call.Rest))
	case ask.Call != nil:
		fmt.Fprintf(c.err, "\n%s\nApprove? [y]es, [r]est: also the same for the rest of the run (%s), [l]ater, or no and why: ", ui.Proposal(*ask.Call), ui.Text(ask.Call.Rest))
	default:
		fmt.Fprintf(c.err, "\nApprove? %s\n[y]es, [l]ater, or no and why: ", ui.Text(ask.Effect))
	}
	line, err := c.readLine(ctx)
	if err != nil {
		return d, false
	}
	if d, decided = answerTo(ask, isQuestion, strings.TrimSpace(line)); !d.Changes {
		return d, decided
	}
	fmt.Fprint(c.err, "What should be different? Open comments go along; then empty will do: ")
	line, err = c.readLine(ctx)
	d.Reason = strings.TrimSpace(line)
	return d, err == nil
}

// answerTo reads what a person typed.
func answerTo(ask mgx.Approval, isQuestion bool, typed string) (d app.Answer, decided bool) {
	d = app.Answer{Approval: ask.ID, Hash: ask.Hash}
	switch low := strings.ToLower(typed); {
	case isQuestion:
		d.Approved, d.Reason = typed != "", typed
	case low == "y" || low == "yes":
		d.Approved = true
	case ask.Call != nil && (low == "r" || low == "rest"):
		d.Approved, d.Rest = true, true
	case app.Delivers(ask) && (low == "c" || low == "changes"):
		d.Changes = true
	case low == "" || low == "l" || low == "later":
		return d, false
	case low == "n" || low == "no":
		d.Reason = "no reason given"
	default:
		d.Reason = typed
	}
	return d, true
}

// typed is what is typed, line by line. One reader has all of it, so that nothing
// is lost when nobody waits for a line any more.
type typed struct {
	once  sync.Once
	lines chan typedLine
}

type typedLine struct {
	text string
	err  error
}

// readLine reads a line unless ctx ends first.
func (c *cli) readLine(ctx context.Context) (string, error) {
	c.typing.once.Do(func() {
		c.typing.lines = make(chan typedLine)
		go func() {
			for in := bufio.NewReader(c.in); ; {
				text, err := in.ReadString('\n')
				c.typing.lines <- typedLine{text, err}
			}
		}()
	})
	select {
	case l := <-c.typing.lines:
		return l.text, l.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}
