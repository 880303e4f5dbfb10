package main

import (
	"bufio"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"mgx"
	"mgx/client"
	"mgx/internal/app"
	"mgx/internal/store"
)

func (c *cli) exportCommand() *cobra.Command {
	var f subjectFlags
	cmd := &cobra.Command{
		Use:   "export FILE",
		Short: "Write everything that is held on a run, a task or a workspace, for people and other programs",
		Long: `Writes a new file of JSON lines that is readable without mgx: the first line says what
the others are, each of which is one record with its kind. Beside it, FILE.index.json says
which lines and bytes hold which kind, and the file's SHA-256. Tool outputs and the git
directories of the runs are in it; secrets are not. Without --run, --task or --workspace
it is of the whole workspace. With --person it is of one person, in every workspace: see
docs/data-rights.md.

At a server it is for admins, of a person for those of the installation. FILE has its name
only when all of it has come and has the digest that the server says.`,
		Example: `  mgx export everything.jsonl
  mgx export run.jsonl --run 7Q2K`,
		Args: oneArg("the file to write"),
		RunE: func(cmd *cobra.Command, args []string) error { return c.export(cmd.Context(), args[0], f) },
	}
	f.add(cmd, "export only")
	cmd.Flags().StringVar(&f.workspace, "workspace", "", "export this `workspace` (default: that in which you work)")
	cmd.Flags().StringVar(&f.person, "person", "", "export what is held on this person, by `id or address`")
	return cmd
}

// subjectFlags name what a command is about.
type subjectFlags struct{ run, task, workspace, person string }

func (f *subjectFlags) add(cmd *cobra.Command, what string) {
	cmd.Flags().StringVar(&f.run, "run", "", what+" this `run`")
	cmd.Flags().StringVar(&f.task, "task", "", what+" this `task` and all its runs")
}

// work is what is named, at the place where the command works.
func (f *subjectFlags) work(ctx context.Context, r interface {
	FindRun(ctx context.Context, name string) (mgx.RunID, error)
},
) (w mgx.Work, err error) {
	if f.run != "" && f.task != "" {
		return w, usage("bad_flag", "--run and --task exclude each other")
	}
	if w.Task = mgx.TaskID(f.task); f.run != "" {
		w.Run, err = r.FindRun(ctx, f.run)
	}
	return w, err
}

func (c *cli) export(ctx context.Context, file string, f subjectFlags) error {
	c.at.workspace = cmp.Or(f.workspace, c.at.workspace)
	if err := fresh(file); err != nil {
		return err
	}
	if c.at.server != "" {
		return c.exportThere(ctx, file, f)
	}
	s, err := c.look(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	index := exportIndex{File: filepath.Base(file), CreatedAt: mgx.Now()}
	subject, held := "", func(each func(kind string, record any) error) error { return s.ExportPerson(ctx, index.Person, each) }
	if f.person != "" {
		index.Person, err = findPerson(ctx, s, f.person)
		subject = string(index.Person)
	} else {
		var w mgx.Work
		w, err = f.work(ctx, runFinder{s, c.workspaceHere()})
		index.Subject = store.Subject{Workspace: c.workspaceHere(), Task: w.Task, Run: w.Run}
		subject, held = cmp.Or(w.ID(), string(index.Subject.Workspace)), func(each func(kind string, record any) error) error {
			return c.withFiles(each, func(each func(string, any) error) error { return s.Export(ctx, index.Subject, each) })
		}
	}
	if err != nil {
		return err
	}
	return c.exportTo(file, &exporting{sum: sha256.New(), index: index}, func(each func(kind string, record any) error) error {
		return held(app.BeforeFirst(func() error {
			return c.recordIfWritable(ctx, actExport, cmp.Or(index.Subject.Workspace, mgx.DefaultWorkspace), subject)
		}, each))
	})
}

// exportThere writes what a server holds. It has the same form as what is held here.
func (c *cli) exportThere(ctx context.Context, file string, f subjectFlags) error {
	remote, err := c.remote(c.at)
	if err != nil {
		return err
	}
	index, r := exportIndex{File: filepath.Base(file), CreatedAt: mgx.Now()}, theirRights{remote.Rights(), remote}
	var from func(each func(client.Record) error) error
	if f.person != "" {
		index.Person, err = personNamed(ctx, r, f.person)
		from = func(each func(client.Record) error) error { return r.ExportPerson(ctx, index.Person, each) }
	} else {
		var w mgx.Work
		if w, err = f.work(ctx, r); err != nil {
			return err
		}
		me, err := remote.Me(ctx)
		if err != nil {
			return err
		}
		index.Subject = store.Subject{Workspace: me.Workspace, Task: w.Task, Run: w.Run}
		from = func(each func(client.Record) error) error { return r.ExportWork(ctx, w, each) }
		if w == (mgx.Work{}) {
			from = func(each func(client.Record) error) error { return r.ExportWorkspace(ctx, me.Workspace, each) }
		}
	}
	if err != nil {
		return err
	}
	return c.exportTo(file, &exporting{sum: sha256.New(), index: index}, func(each func(kind string, record any) error) error {
		return from(func(r client.Record) error { return each(r.Kind, r.Record) })
	})
}

// runFinder finds runs in a workspace of a store.
type runFinder struct {
	s  *store.Store
	ws mgx.WorkspaceID
}

func (f runFinder) FindRun(ctx context.Context, name string) (mgx.RunID, error) {
	run, err := f.s.FindRun(ctx, f.ws, name)
	return run.ID, err
}

// findPerson finds who is meant by an address or an id.
func findPerson(ctx context.Context, s *store.Store, name string) (mgx.UserID, error) {
	if strings.Contains(name, "@") {
		u, err := s.UserByEmail(ctx, strings.ToLower(name))
		return u.ID, err
	}
	u, err := s.User(ctx, mgx.UserID(name))
	return u.ID, err
}

// fresh refuses to write over a file.
func fresh(file string) error {
	for _, name := range []string{file, file + ".index.json"} {
		if _, err := os.Lstat(name); err == nil {
			return usage("file_exists", "%s exists already; an export never overwrites: choose another name", name)
		}
	}
	return nil
}

// exportTo writes what is held to a new file, which has its name when all of it is
// there.
func (c *cli) exportTo(file string, e *exporting, held func(func(kind string, record any) error) error) error {
	part, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+".part-*") // 0600
	if err != nil {
		return exportError(file, err)
	}
	defer os.Remove(part.Name())
	e.out = bufio.NewWriterSize(part, 1<<20)
	err = e.write("about", about)
	if err == nil {
		err = held(e.write)
	}
	if err == nil {
		err = errors.Join(e.out.Flush(), part.Sync())
	}
	if err = errors.Join(err, part.Close()); err != nil {
		return exportError(file, err)
	}
	if err := e.publish(part.Name(), file); err != nil {
		return exportError(file, err)
	}
	if c.json {
		return printJSON(c, e.index)
	}
	fmt.Fprintf(c.err, "Wrote %s, %d lines, and %s.index.json.\n", file, e.lines, file)
	return nil
}

func exportError(file string, err error) error {
	if own, ok := errors.AsType[*mgx.Error](err); ok {
		return own
	}
	if errors.Is(err, context.Canceled) {
		return err
	}
	return mgx.Errorf(mgx.KindConfig, "export_failed", "the export %s cannot be written: %w", file, err)
}

// exporting writes lines and keeps count of them.
type exporting struct {
	out   *bufio.Writer
	sum   hash.Hash
	lines int64
	bytes int64
	index exportIndex
}

// exportIndex is FILE.index.json.
type exportIndex struct {
	File      string          `json:"file"`
	Subject   store.Subject   `json:"subject,omitzero"`
	Person    mgx.UserID      `json:"person_id,omitempty"`
	CreatedAt any             `json:"created_at"`
	SHA256    string          `json:"sha256"`
	Sections  []exportSection `json:"sections"`
}

// exportSection says where the records of one kind are.
type exportSection struct {
	Kind      string `json:"kind"`
	Records   int64  `json:"records"`
	FirstLine int64  `json:"first_line"` // from 1
	Offset    int64  `json:"offset"`     // of its first byte
	Bytes     int64  `json:"bytes"`
}

// exportLine is one line.
type exportLine struct {
	Kind   string `json:"kind"`
	Record any    `json:"record"`
}

// about is the record of the first line.
var about = map[string]any{
	"format": "mgx-export/1",
	"lines":  "Every line is a JSON object with a kind and a record. Times are UTC. Text that was erased is {\"erased\": true}.",
	"kinds": map[string]string{
		"about":            "this line",
		"task":             "what was asked for",
		"run":              "one attempt at a task, as it stands: what its events say, put together",
		"event":            "something that happened, in order; event_type says what, data holds it",
		"execution":        "the engine's account of a run: input, status, result",
		"step":             "one recorded result of a run's work",
		"signal":           "a message to a run, such as a decision",
		"spending":         "money set aside and spent on one model call; settled is null while it is open",
		"budget":           "a limit on what may be spent, and for what",
		"budget_period":    "what counts against a budget in one of its periods",
		"webhook":          "an endpoint that events are sent to, without its secrets",
		"webhook_delivery": "one event on its way to an endpoint",
		"webhook_attempt":  "one try to send an event, and the answer",
		"file":             "a piece of a file of a run: its name, the number of the piece from 1, and the content as text or base64",
	},
}

// withFiles hands out records, and after them the files of the runs among them.
func (c *cli) withFiles(each func(kind string, record any) error, held func(func(string, any) error) error) error {
	var runs []mgx.RunID
	err := held(func(kind string, record any) error {
		if raw, ok := record.(json.RawMessage); ok && kind == "run" {
			var run mgx.Run
			if err := json.Unmarshal(raw, &run); err != nil {
				return err
			}
			runs = append(runs, run.ID)
		}
		return each(kind, record)
	})
	for _, id := range runs {
		if err == nil {
			err = addFiles(c.runFiles(id), string(id), func(name string, _ fs.FileMode, content io.Reader) error {
				return pieces(id, name, content, each)
			})
		}
	}
	return err
}

func (e *exporting) write(kind string, record any) error {
	line, err := json.Marshal(exportLine{kind, record})
	if err != nil {
		return err
	}
	line = append(line, '\n')
	sections := e.index.Sections
	if len(sections) == 0 || sections[len(sections)-1].Kind != kind {
		sections = append(sections, exportSection{Kind: kind, FirstLine: e.lines + 1, Offset: e.bytes})
	}
	last := &sections[len(sections)-1]
	last.Records++
	last.Bytes += int64(len(line))
	e.index.Sections = sections
	e.lines++
	e.bytes += int64(len(line))
	e.sum.Write(line)
	_, err = e.out.Write(line)
	return err
}

// exportPiece is how much of a file is in one line, in bytes.
const exportPiece = 256 << 10

// publish writes the index and gives both files their names, the index first: a
// file that is there has one.
func (e *exporting) publish(part, file string) error {
	e.index.SHA256 = hex.EncodeToString(e.sum.Sum(nil))
	index, err := json.MarshalIndent(e.index, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(file+".index.json", append(index, '\n'), 0o600); err != nil {
		return err
	}
	if err := os.Rename(part, file); err != nil {
		os.Remove(file + ".index.json")
		return err
	}
	return nil
}
