package team

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"mgx"
	"mgx/internal/git"
	"mgx/internal/guard/policy"
	"mgx/internal/sandbox"
	"mgx/internal/tool"
)

// veil keeps from the programs of one call what the policy keeps from them: empty
// files and directories are mounted over what they must not see, and what they
// must not write is mounted over itself, read-only. The kernel does the keeping, so
// it holds by whatever name a program asks. The directories above are mounted over
// themselves, since a mount point cannot be renamed: below another name, this
// command or the next would find what is kept.
//
// What is not there cannot be mounted over. So when the programs have ended, what
// they made at a path that is kept is taken away, and when they moved away a link
// that is kept, the files are put back as they were.
type veil struct {
	kept   []policy.Kept
	mounts []sandbox.Mount
	held   map[string]held // what was there before, by path
}

// held is one file, directory or link that is kept from programs.
type held struct {
	info   fs.FileInfo
	hide   bool // from being seen, not only from being written
	linked bool // because a kept link leads here
}

// Bounds of a veil: more is refused.
const (
	maxVeiled    = 1000    // mounts
	maxVeilWalk  = 200_000 // files and directories looked at
	maxVeilLinks = 4       // links to directories below each other
)

// cannotKeep is the refusal of a call whose programs could not be kept from a path.
type cannotKeep struct{ why string }

func (e *cannotKeep) Error() string { return e.why }

// veil makes the veil of a call, whose programs get the files read-only or not; nil
// when the policy keeps nothing from programs.
func (r *run) veil(ctx context.Context, f policy.Facts, readOnly bool) (*veil, error) {
	v := &veil{kept: r.rules.Kept(f)}
	if len(v.kept) == 0 {
		return nil, nil
	}
	if level := r.site.Box.Level(); !level.AtLeast(sandbox.LevelBasic) {
		return nil, &cannotKeep{fmt.Sprintf("the policy keeps %s from programs, and a sandbox of level %s cannot; it takes basic or full", v.kept[0].Path, level)}
	}
	var err error
	if v.held, err = v.look(ctx, r.site.Files.Root); err != nil {
		return nil, err
	}
	blank, err := r.site.Clone.Blank()
	if err != nil {
		return nil, err
	}
	v.cover(r.site.Files.Root.Name(), blank, readOnly)
	if len(v.mounts) > maxVeiled {
		return nil, &cannotKeep{fmt.Sprintf("the policy keeps paths from programs that are %d with the directories above them; at most %d can be", len(v.mounts), maxVeiled)}
	}
	return v, nil
}

// cover makes the mounts, directories before what lies in them. A link is not
// covered: what it leads to is.
func (v *veil) cover(host string, blank git.Blank, readOnly bool) {
	over := map[string]sandbox.Mount{} // by path
	mount := func(name, from string, mode sandbox.Mode) {
		over[name] = sandbox.Mount{Host: from, Guest: path.Join(sandbox.Workspace, name), Mode: mode}
	}
	for name, h := range v.held {
		at := filepath.Join(host, name)
		switch {
		case v.covered(name, h.hide):
			continue
		case h.info.Mode()&fs.ModeSymlink != 0:
		case h.hide && h.info.IsDir():
			mount(name, blank.Dir, sandbox.ReadOnly)
		case h.hide:
			mount(name, blank.File, sandbox.ReadOnly)
		default:
			mount(name, at, sandbox.ReadOnly)
		}
		if readOnly {
			continue // nothing can be renamed
		}
		for dir := path.Dir(name); dir != "." && !v.fixed(dir); dir = path.Dir(dir) {
			mount(dir, filepath.Join(host, dir), sandbox.ReadWrite)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(over)) {
		v.mounts = append(v.mounts, over[name])
	}
	if slices.ContainsFunc(v.kept, func(k policy.Kept) bool { return !k.Write }) {
		v.mounts = append(v.mounts, blank.History...)
	}
}

// fixed reports whether a directory is held itself, or lies in one that is: then
// nothing can be renamed there, and it must not become writable.
func (v *veil) fixed(dir string) bool {
	_, held := v.held[dir]
	return held || v.covered(dir, false)
}

// covered reports whether a directory above is held as strictly.
func (v *veil) covered(name string, hide bool) bool {
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		if above, ok := v.held[dir]; ok && above.info.IsDir() && (above.hide || !hide) {
			return true
		}
	}
	return false
}

// keeps reports whether a path is kept, and whether from being seen.
func (v *veil) keeps(name string) (kept, hide bool) {
	for _, k := range v.kept {
		if k.Matches(name) {
			kept, hide = true, hide || !k.Write
		}
	}
	return kept, hide
}

// hides reports whether tools that search and list pass over a path.
func (v *veil) hides(name string) bool {
	_, hide := v.keeps(name)
	return hide
}

// look finds what is there of what is kept.
func (v *veil) look(ctx context.Context, root *os.Root) (map[string]held, error) {
	l := &veilLook{v: v, ctx: ctx, root: root, left: maxVeilWalk, found: map[string]held{}}
	err := l.dir(".", ".", 0, free)
	return l.found, err
}

type veilLook struct {
	v     *veil
	ctx   context.Context
	root  *os.Root
	left  int
	found map[string]held
}

// strictness of what a directory above is kept from.
type strictness int

const (
	free strictness = iota
	written
	seen
)

// dir looks at a directory: at its own path, and as the links on the way to it
// name it, since a rule may be about either.
func (l *veilLook) dir(real, named string, links int, under strictness) error {
	entries, err := fs.ReadDir(l.root.FS(), real)
	if err != nil {
		return &cannotKeep{"the policy keeps paths from programs, and " + real + " cannot be looked through"}
	}
	for _, e := range entries {
		if l.left--; l.left < 0 {
			return &cannotKeep{fmt.Sprintf("the policy keeps paths from programs, and the workspace has more than %d files to look at", maxVeilWalk)}
		}
		if l.ctx.Err() != nil {
			return l.ctx.Err()
		}
		if err := l.entry(path.Join(real, e.Name()), path.Join(named, e.Name()), e, links, under); err != nil {
			return err
		}
	}
	return nil
}

func (l *veilLook) entry(real, named string, e fs.DirEntry, links int, under strictness) error {
	if real == ".git" {
		return nil
	}
	kept, hide := l.v.keeps(named)
	is := free
	if kept {
		is = written
	}
	if hide {
		is = seen
	}
	if is > under {
		if err := l.hold(real, hide, false); err != nil {
			return err
		}
	}
	switch {
	case e.IsDir() && hide:
		return nil
	case e.IsDir():
		return l.dir(real, named, links, max(is, under))
	case e.Type()&fs.ModeSymlink == 0:
		return nil
	}
	target, err := tool.Resolve(l.root, real)
	if err != nil || target == "." || target == ".git" {
		return nil // out of the workspace, where programs see nothing of the run's; or seen anyway
	}
	info, err := l.root.Lstat(target)
	switch {
	case err != nil: // it leads to nothing
		return nil
	case kept:
		return l.hold(target, hide, true)
	case info.IsDir() && l.mayBeBelow(named):
		if links == maxVeilLinks {
			return &cannotKeep{"the policy keeps paths from programs, and links in the workspace lead to links too often to be followed: " + named}
		}
		return l.dir(target, named, links+1, free)
	}
	return nil
}

// mayBeBelow reports whether something below a link may be kept by the path that
// goes through it, and not by its own.
func (l *veilLook) mayBeBelow(named string) bool {
	return slices.ContainsFunc(l.v.kept, func(k policy.Kept) bool {
		if rest, any := strings.CutPrefix(k.Path, "**/"); any && !strings.Contains(rest, "/") {
			return false // a name at any depth: the real path has it too
		}
		parts := strings.Split(k.Path, "/")
		return slices.Contains(parts, "**") || len(parts) > strings.Count(named, "/")+1
	})
}

func (l *veilLook) hold(name string, hide, linked bool) error {
	info, err := l.root.Lstat(name)
	if err != nil {
		return &cannotKeep{"the policy keeps paths from programs, and " + name + " cannot be looked at"}
	}
	before, ok := l.found[name]
	l.found[name] = held{info, hide || before.hide, linked && (!ok || before.linked)}
	return nil
}

// over are the mounts of a veil, also of none.
func (v *veil) over() []sandbox.Mount {
	if v == nil {
		return nil
	}
	return v.mounts
}

// lifted looks at the workspace when the programs have ended. It takes away what
// they made at kept paths, and reports it, and whether something kept is no longer
// where it was.
func (v *veil) lifted(ctx context.Context, root *os.Root) (made []string, moved bool, err error) {
	for name, before := range v.held {
		now, err := root.Lstat(name)
		if err != nil || !os.SameFile(before.info, now) {
			return nil, true, nil
		}
	}
	after, err := v.look(ctx, root)
	if _, refused := errors.AsType[*cannotKeep](err); refused {
		return nil, true, nil
	}
	if err != nil {
		return nil, false, err
	}
	for _, name := range slices.Sorted(maps.Keys(after)) {
		if _, was := v.held[name]; was || after[name].linked {
			continue
		}
		if err := root.RemoveAll(name); err != nil {
			return nil, false, mgx.Errorf(mgx.KindConfig, "policy_not_kept", "%s, which the policy keeps from programs, cannot be taken away again: %w", name, err)
		}
		made = append(made, name)
	}
	return made, false, nil
}
