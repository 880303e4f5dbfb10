package tool

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

type patchArgs struct {
	Patch string `json:"patch"`
}

const (
	maxPatchFiles = 500
	maxPatchTotal = 64 << 20 // bytes of all files a patch touches
)

// applyPatch changes several files or none. The whole patch is tried on the
// files as they are before the first is written; when a write fails, those done
// before it are undone.
func applyPatch(ctx context.Context, ws *Workspace, a patchArgs) (Result, error) {
	changes, err := parsePatch(a.Patch)
	if err != nil {
		return Result{}, failf("The patch was not applied: %s", err)
	}
	d := draft{ws: ws, ctx: ctx, files: map[string]*draftFile{}}
	if err := d.try(changes); err != nil {
		return Result{}, err
	}
	if err := d.commit(); err != nil {
		return Result{}, err
	}
	return succeed(d.report())
}

// draft is the workspace as it will be.
type draft struct {
	ws    *Workspace
	ctx   context.Context
	files map[string]*draftFile
	order []*draftFile
	total int
	notes []string
	done  []string // what was done, for the model
}

// draftFile is a file before and after. A nil document is no file.
type draftFile struct {
	place
	before, after *document
	made          []string // directories that committing it made
}

// try makes all changes in the draft. Its error tells of every change that
// cannot be made, as far as there is room, and that nothing was.
func (d *draft) try(changes []fileChange) error {
	if len(changes) > maxPatchFiles {
		return failf("The patch touches %d files; apply at most %d at once.", len(changes), maxPatchFiles)
	}
	const told = 5
	status, failed := Failure, []string(nil)
	for _, c := range changes {
		if err := d.ctx.Err(); err != nil {
			return err
		}
		err := d.change(c)
		if err == nil {
			continue
		}
		if r, ok := errors.AsType[*reply](err); ok && r.status == Denied {
			status = Denied
		}
		if failed = append(failed, strings.TrimSpace(err.Error())); len(failed) == told {
			break
		}
	}
	if len(failed) == 0 {
		return nil
	}
	return &reply{status, "Nothing was changed, in any file.\n" + strings.Join(failed, "\n")}
}

func (d *draft) change(c fileChange) error {
	switch c.op {
	case opAdd:
		return d.add(c)
	case opDelete:
		return d.delete(c)
	}
	return d.update(c)
}

func (d *draft) add(c fileChange) error {
	f, err := d.file(c.path)
	if err != nil {
		return err
	}
	if f.after != nil {
		return failf("%s exists already. Use *** Update File to change it.", f)
	}
	if f.after = (&document{body: c.content, mode: newFileMode}); c.mode != 0 {
		f.after.mode = c.mode
	}
	d.did("Added %s (%s)", f, count(len(splitLines(c.content)), "line"))
	return d.grow(len(c.content))
}

func (d *draft) delete(c fileChange) error {
	f, err := d.existing(c.path)
	if err != nil {
		return err
	}
	if len(c.hunks) > 0 { // a diff that deletes says what it deletes
		rest, _, err := patchText(f.after.body, c.hunks)
		if err != nil {
			return failf("%s: %s", f, err)
		}
		if rest != "" {
			return failf("%s: the patch deletes the file but does not list all of its lines.", f)
		}
	}
	if err := d.mustBe(f, c.path); err != nil {
		return err
	}
	f.after = nil
	d.did("Deleted %s", f)
	return nil
}

func (d *draft) update(c fileChange) error {
	f, err := d.existing(c.path)
	if err != nil {
		return err
	}
	now := *f.after
	body, notes, err := patchText(now.body, c.hunks)
	if err != nil {
		return failf("%s: %s", f, err)
	}
	if body == now.body && c.moveTo == "" && (c.mode == 0 || c.mode == now.mode) {
		return failf("%s: the patch changes nothing.", f)
	}
	if now.body = body; c.mode != 0 {
		now.mode = c.mode
	}
	for _, n := range notes {
		d.notes = append(d.notes, fmt.Sprintf("Note: %s: %s", f, n))
	}
	if c.moveTo == "" {
		f.after = &now
		d.did("Updated %s (%s)", f, count(len(c.hunks), "hunk"))
		return d.grow(len(body))
	}
	return d.move(f, c, now)
}

func (d *draft) move(f *draftFile, c fileChange, now document) error {
	if err := d.mustBe(f, c.path); err != nil {
		return err
	}
	to, err := d.file(c.moveTo)
	if err != nil {
		return err
	}
	if to.after != nil && to != f {
		return failf("%s cannot be moved to %s: that exists already.", f, to)
	}
	f.after = nil
	to.after = &now
	d.did("Moved %s to %s (%s)", f, to, count(len(c.hunks), "hunk"))
	return d.grow(len(now.body))
}

// mustBe refuses a name that reaches the file through a link: it is not clear
// which of the two is meant.
func (d *draft) mustBe(f *draftFile, named string) error {
	if p, err := d.ws.at(named); err == nil && p.name != f.name {
		return failf("%s is reached through a symbolic link; delete or move it in the shell tool.", quoted(named))
	}
	return nil
}

// file is the draft of a file, as the changes so far left it.
func (d *draft) file(named string) (*draftFile, error) {
	p, err := d.ws.target(named)
	if err != nil {
		return nil, err
	}
	if f := d.files[p.name]; f != nil {
		return f, nil
	}
	f := &draftFile{place: p}
	old, err := replaceable(p)
	if err != nil {
		return nil, err
	}
	if old != nil {
		doc, err := load(p)
		if err != nil {
			return nil, fileError(p, err)
		}
		f.before, f.after = &doc, &doc
		if err := d.grow(len(doc.body)); err != nil {
			return nil, err
		}
	}
	d.files[p.name] = f
	d.order = append(d.order, f)
	return f, nil
}

func (d *draft) existing(named string) (*draftFile, error) {
	f, err := d.file(named)
	if err == nil && f.after == nil {
		return nil, missing(d.ctx, f.place)
	}
	return f, err
}

func (d *draft) grow(n int) error {
	if d.total += n; n > maxEditable || d.total > maxPatchTotal {
		return failf("The patch touches too much text: at most %s a file and %s in all.", size(maxEditable), size(maxPatchTotal))
	}
	return nil
}

func (d *draft) did(format string, args ...any) {
	d.done = append(d.done, fmt.Sprintf(format, args...))
}

func (d *draft) report() string {
	return strings.Join(append(d.done, d.notes...), "\n")
}

// commit writes the draft. Files are made before others are deleted, so that a
// failed move leaves its source.
func (d *draft) commit() error {
	var done []*draftFile
	for _, deleting := range []bool{false, true} {
		for _, f := range d.order {
			if deleting != (f.after == nil) || f.after == f.before {
				continue
			}
			done = append(done, f)
			if err := f.put(f.after); err != nil {
				said := fileError(f.place, err).Error()
				return failf("%s %s", said, undo(done))
			}
		}
	}
	return nil
}

// put makes the file be what doc says.
func (f *draftFile) put(doc *document) error {
	if doc == nil {
		return f.root.Remove(f.name)
	}
	made, err := save(f.place, *doc)
	f.made = append(f.made, made...)
	return err
}

// undo restores files, last first, and says whether it could.
func undo(done []*draftFile) string {
	var lost []string
	for i := len(done) - 1; i >= 0; i-- {
		f := done[i]
		if err := f.restore(); err != nil {
			lost = append(lost, f.String())
		}
		for j := len(f.made) - 1; j >= 0; j-- {
			_ = f.root.Remove(f.made[j]) // not empty: someone else uses it now
		}
	}
	if len(lost) > 0 {
		return "These files could not be restored: " + strings.Join(lost, ", ") + ". Check them before you go on."
	}
	return "All files are as they were before."
}

func (f *draftFile) restore() error {
	now, err := replaceable(f.place)
	if err != nil {
		return err
	}
	if f.before == nil && now == nil {
		return nil
	}
	return f.put(f.before)
}
