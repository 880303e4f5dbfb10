package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mgx"
	"mgx/internal/git"
	"mgx/internal/lazy"
	"mgx/internal/store"
	"mgx/internal/ui"
)

func (c *cli) backupCommand() *cobra.Command {
	var all, none bool
	cmd := &cobra.Command{
		Use:   "backup FILE",
		Short: "Write everything to one file, while work goes on",
		Long: `Writes the database, as it is at one moment, to one new file that mgx restore reads,
into a file or a PostgreSQL database alike. Work may go on meanwhile, also in other
processes. With it go the git directories and tool outputs of the runs that have not
ended, so that they can be resumed where the backup is restored; that also takes the
repositories they work on, which are not in the backup. See docs/runbooks/backup.md.

Exit codes: 0 written; 1 written, but the files of a run are not whole; 2 usage; 3 configuration.`,
		Args: oneArg("the file to write"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if all && none {
				return usage("bad_flag", "--all-files and --no-files exclude each other")
			}
			return c.backup(cmd.Context(), args[0], func(run mgx.Run) bool { return !none && (all || !run.Status.Ended()) })
		},
	}
	cmd.Flags().BoolVar(&all, "all-files", false, "also the files of runs that have ended")
	cmd.Flags().BoolVar(&none, "no-files", false, "no files: what is not ended cannot be resumed from it")
	return cmd
}

// place is where the database is, as the store opens it.
func (c *cli) place() string { return cmp.Or(c.cfg.Database, filepath.Join(c.cfg.Data, "mgx.db")) }

// look opens the database for a command that only reads, and so neither makes
// nor migrates one.
func (c *cli) look(ctx context.Context) (*store.Store, error) {
	return store.Open(ctx, c.place(), store.Options{ReadOnly: true})
}

func (c *cli) runFiles(id mgx.RunID) string { return filepath.Join(c.cfg.Data, "runs", string(id)) }

func (c *cli) backup(ctx context.Context, file string, wanted func(mgx.Run) bool) error {
	s, err := c.look(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	if err := store.Vacant(file); err != nil {
		return err
	}
	if err := c.recordIfWritable(ctx, actBackup, mgx.DefaultWorkspace, "backup"); err != nil {
		return err
	}
	var problems []string
	sent := sentFiles{c.cfg.Data, map[string]bool{}}
	m, err := s.Backup(ctx, file, store.BackupOptions{Program: version, Files: func(f store.RunFiles) error {
		if !wanted(f.Run) {
			return nil
		}
		trees, err := f.Trees()
		if err != nil {
			return err
		}
		if bad := c.checkFiles(ctx, f.Run, trees, false); bad != nil {
			problems = append(problems, mgx.AsError(bad).Message)
		}
		if err := sent.of(f.Run, f.Add); err != nil {
			return err
		}
		return addFiles(c.runFiles(f.Run.ID), string(f.Run.ID), f.Add)
	}})
	if err != nil {
		return err
	}
	if c.json {
		if err := printJSON(c, summary{m, m.Rows, m.Files, problems}); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(c.err, "Wrote %s: %d events, %d runs, %d files. It holds whatever the log holds: keep it as private.\n", file, m.Rows["events"], m.Rows["runs"], m.Files)
		for _, k := range backupKeys {
			if m.Rows[k.table] > 0 {
				fmt.Fprintf(c.err, "It does not hold %s: keep a copy of that apart from it.\n", k.file)
			}
		}
	}
	return c.listed(problems, "the files of some runs are not whole; the backup has what there is")
}

// backupKeys are the keys that no backup holds, and the tables that are of little use
// without them.
var backupKeys = []struct{ file, table, why string }{
	{ringFile, "secrets", "without it no secret can be read (unless --secrets-keys or --secrets-vault says where another one is)"},
	{auditKeyFile, "audit_checkpoints", "with it mgx audit verify knows the signatures of the audit log, and without it the copy signs with a new key"},
}

// summary is what --json says of a backup.
type summary struct {
	store.Manifest
	Rows     map[string]int64 `json:"rows"`
	Files    int64            `json:"files"`
	Problems []string         `json:"problems,omitempty"`
}

// listed prints problems, one a line, and turns them into an exit of 1.
func (c *cli) listed(problems []string, sum string) error {
	if len(problems) == 0 {
		return nil
	}
	if !c.json {
		for _, p := range problems {
			fmt.Fprintf(c.out, "%s\n", ui.Text(p))
		}
	}
	return mgx.Errorf(mgx.KindGoal, "problems_found", "%s", sum)
}

// checkFiles says what a run could not put back of its files.
func (c *cli) checkFiles(ctx context.Context, run mgx.Run, trees []string, whole bool) error {
	if len(trees) == 0 || run.Repo.Path == "" {
		return nil
	}
	src, err := git.Reopen(ctx, hereIn(c.cfg.Data, run.Workspace, run.Repo))
	if err != nil {
		return mgx.Errorf(mgx.KindConfig, "files_missing", "run %s works on a repository that cannot be read: %w", run.ID, err)
	}
	missing, err := git.Missing(ctx, c.runFiles(run.ID), src, trees, whole)
	if err != nil {
		return mgx.Errorf(mgx.KindConfig, "files_missing", "the files of run %s cannot be read: %w", run.ID, err)
	}
	if len(missing) > 0 {
		return mgx.Errorf(mgx.KindConfig, "files_missing", "of run %s %d of %d recorded states of its files are missing: %.40s…", run.ID, len(missing), len(trees), strings.Join(missing, " "))
	}
	return nil
}

// addFiles adds what a copy of a run directory needs to go on.
func addFiles(dir, id string, add func(string, fs.FileMode, io.Reader) error) error {
	return addAll(dir, path.Join("runs", id), git.Files(dir), add)
}

// addAll adds files of a directory, under another name of that. What vanishes
// meanwhile was temporary.
func addAll(dir, as string, files iter.Seq2[string, error], add func(string, fs.FileMode, io.Reader) error) error {
	root, err := os.OpenRoot(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return dataError(dir, err)
	}
	defer root.Close()
	for name, err := range files {
		if err != nil {
			return err
		}
		if err := addFile(root, name, path.Join(as, name), add); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func addFile(root *os.Root, name, as string, add func(string, fs.FileMode, io.Reader) error) error {
	f, err := root.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	return add(as, info.Mode(), f)
}

func (c *cli) restoreCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "restore FILE",
		Short: "Make a new data directory from a backup",
		Long: `Reads a file that mgx backup wrote into an empty data directory (--data) or an empty
database (--database). It refuses one that is in use, and a backup that is damaged or
from a newer mgx; then nothing is left behind. Restore only backups you trust: what is in
them decides what resumed runs do.`,
		Args: oneArg("the file to read"),
		RunE: func(cmd *cobra.Command, args []string) error { return c.restore(cmd.Context(), args[0]) },
	}
}

func (c *cli) restore(ctx context.Context, file string) error {
	from, err := os.Open(file)
	if err != nil {
		return usage("no_such_file", "the backup cannot be read: %w", err)
	}
	defer from.Close()
	r := restoring{data: c.cfg.Data}
	m, err := r.run(ctx, from, c.place())
	if err == nil {
		err = c.record(ctx, actRestore, mgx.DefaultWorkspace, "backup")
	}
	if err != nil {
		return err
	}
	if c.json {
		if err := printJSON(c, summary{m, m.Rows, m.Files, nil}); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(c.err, "Restored what was backed up on %s UTC: %d events, %d runs, %d files.\nGo on with what was interrupted: mgx resume\n",
			m.CreatedAt.UTC().Format(time.DateTime), m.Rows["events"], m.Rows["runs"], m.Files)
		for _, k := range backupKeys {
			if _, err := os.Stat(filepath.Join(c.cfg.Data, k.file)); err != nil && m.Rows[k.table] > 0 {
				fmt.Fprintf(c.err, "Bring %s from where you keep it to %s before you go on: %s.\n", k.file, c.cfg.Data, k.why)
			}
		}
	}
	return c.verify(ctx, verifyFlags{quiet: true})
}

// restoring keeps the files of a backup apart until all of it is known to be
// whole.
type restoring struct {
	data  string
	stage string
	root  *os.Root
	moved []string // to their places
}

func (r *restoring) run(ctx context.Context, from io.Reader, place string) (m store.Manifest, err error) {
	made, err := r.prepare()
	if err != nil {
		return m, err
	}
	defer func() {
		r.root.Close()
		os.RemoveAll(r.stage)
		for _, dir := range r.moved {
			if err != nil {
				os.RemoveAll(dir)
			}
		}
		if err != nil && made {
			os.Remove(r.data)
		}
	}()
	return store.Restore(ctx, from, place, store.RestoreOptions{File: r.file, Ready: r.ready})
}

// restored are the directories in a data directory that a backup has files of.
var restored = []string{"runs", uploadsDir}

// prepare makes the directory to work in, and reports whether it made the data
// directory.
func (r *restoring) prepare() (made bool, err error) {
	for _, dir := range restored {
		if left, err := os.ReadDir(filepath.Join(r.data, dir)); err == nil && len(left) > 0 {
			return false, mgx.Errorf(mgx.KindConfig, store.CodeNotEmpty, "%s holds %s already; a restore never overwrites: choose an empty directory with --data", r.data, dir)
		}
	}
	_, err = os.Lstat(r.data)
	made = errors.Is(err, fs.ErrNotExist)
	if err := os.MkdirAll(r.data, 0o700); err != nil {
		return false, dataError(r.data, err)
	}
	if r.stage, err = os.MkdirTemp(r.data, ".restore-*"); err == nil {
		r.root, err = os.OpenRoot(r.stage)
	}
	if err != nil {
		return made, dataError(r.data, err)
	}
	return made, nil
}

var runFile = lazy.Regexp(`^runs/(run_[0-9A-Z]{26})/(.+)$`)

// file writes one file, which can be nothing but what backups hold.
func (r *restoring) file(name string, mode fs.FileMode, content io.Reader) error {
	m := runFile().FindStringSubmatch(name)
	if (m == nil || !git.ValidFile(m[2])) && !validSent(name) {
		return mgx.Errorf(mgx.KindConfig, store.CodeBackupDamaged, "the backup holds a file that no backup holds: %.80q; nothing was restored", name)
	}
	if err := r.root.MkdirAll(path.Dir(name), 0o700); err != nil {
		return dataError(r.data, err)
	}
	f, err := r.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode&0o700|0o400)
	if err != nil {
		return dataError(r.data, err)
	}
	_, err = io.Copy(f, content)
	if e := f.Close(); err == nil {
		err = e
	}
	if file, ok := errors.AsType[*fs.PathError](err); ok {
		return dataError(r.data, file)
	}
	return err
}

// ready gives the files their places, once everything is on disk.
func (r *restoring) ready(store.Manifest) error {
	if err := durable(r.stage); err != nil {
		return dataError(r.data, err)
	}
	for _, dir := range restored {
		place := filepath.Join(r.data, dir)
		err := os.Rename(filepath.Join(r.stage, dir), place)
		if errors.Is(err, fs.ErrNotExist) {
			continue // there are no files
		}
		if err != nil {
			return dataError(r.data, err)
		}
		r.moved = append(r.moved, place)
	}
	return nil
}
