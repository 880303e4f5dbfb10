package git

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"mgx"
)

// Deliver brings a bundle's commit into the user's repository as a new branch,
// and returns the branch. This is the only writing MGX ever does there, and it
// is two commands: git index-pack, which adds the objects, and git update-ref,
// which creates the branch and nothing else. No hook runs, nothing is fetched,
// collected or checked out.
//
// Before that, every object is checked in a repository of its own, as strictly
// as git can, and the commit must descend from the source's head with all it
// needs. A branch that exists is not overwritten: when it already points at the
// commit, the delivery has been made before and Deliver agrees; otherwise a
// generated name (see [NextBranch]) moves on to the next number, and any other
// is refused.
func Deliver(ctx context.Context, src *Source, bundle, commit, branch string) (string, error) {
	if err := needIDs(commit); err != nil {
		return "", err
	}
	if err := ValidBranch(branch); err != nil {
		return "", err
	}
	branch, done, err := src.place(ctx, commit, branch)
	if err != nil || done {
		return branch, err
	}
	b, err := openBundle(bundle, src.ObjectFormat)
	if err != nil {
		return "", err
	}
	defer b.file.Close()
	if b.tip != commit {
		return "", badBundle("it holds %.12s and not %.12s", b.tip, commit)
	}
	pack, remove, err := b.check(ctx, src)
	if err != nil {
		return "", err
	}
	defer remove()
	return branch, src.add(ctx, pack, commit, branch)
}

// CanDeliver refuses at once the name of a branch that [Deliver] would refuse when all the
// work is done, since there is one.
func (s *Source) CanDeliver(ctx context.Context, branch string) error {
	at, err := s.branchAt(ctx, branch)
	if err == nil && at != "" && !generated.MatchString(branch) {
		err = branchExists(branch)
	}
	return err
}

var generated = regexp.MustCompile(`^(mgx/.+/run-)([1-9][0-9]{0,8})$`)

// place settles the branch's name, and reports whether it is there already.
func (s *Source) place(ctx context.Context, commit, branch string) (name string, done bool, err error) {
	for {
		at, err := s.branchAt(ctx, branch)
		switch {
		case err != nil:
			return "", false, err
		case at == "":
			return branch, false, nil
		case at == commit:
			return branch, true, nil
		}
		m := generated.FindStringSubmatch(branch)
		if m == nil {
			return "", false, branchExists(branch)
		}
		n, err := strconv.Atoi(m[2])
		if err != nil {
			return "", false, branchExists(branch)
		}
		branch = fmt.Sprint(m[1], n+1)
	}
}

func branchExists(branch string) error {
	return mgx.Errorf(mgx.KindRefused, "branch_exists", "the branch %s exists and is not this run's; choose another name with --branch", branch)
}

// branchAt is the commit that a branch points at, or empty when there is none.
func (s *Source) branchAt(ctx context.Context, branch string) (string, error) {
	out, err := s.git(ctx, "rev-parse", "--verify", "-q", "refs/heads/"+branch)
	if exitCode(err) == 1 {
		return "", nil
	}
	return strings.TrimSpace(string(out)), explain(err, "read the branches")
}

// check unpacks the bundle into a repository of its own and returns the pack of
// its objects once all of them are sound.
func (b *bundle) check(ctx context.Context, src *Source) (pack string, remove func(), err error) {
	s, err := newScratch(filepath.Dir(b.file.Name()), src)
	if err != nil {
		return "", nil, err
	}
	defer func() {
		if err != nil {
			s.remove()
		}
	}()
	if err = b.unpack(ctx, s); err != nil {
		return "", nil, err
	}
	if err = s.connected(ctx, b.tip); err != nil {
		return "", nil, err
	}
	packs, err := filepath.Glob(filepath.Join(globQuote(s.dir), "objects", "pack", "pack-*.pack"))
	if err != nil || len(packs) != 1 {
		return "", nil, badBundle("it has no objects")
	}
	return packs[0], s.remove, nil
}

func (b *bundle) unpack(ctx context.Context, s *scratch) error {
	objects, err := b.objects()
	if err != nil {
		return err
	}
	_, err = s.git(ctx, "check the objects", objects, indexPack...)
	if exitCode(err) > 0 && !mgx.IsCode(err, "disk_full") {
		return badBundle("git found its objects unsound (%s)", sentence(saidBy(err)))
	}
	return err
}

// indexPack checks and stores the objects that it reads. Strict makes errors of
// what git merely warns about: .git, . and .. as names in a tree, among others.
var indexPack = []string{"index-pack", "--strict", "--stdin", "--fix-thin", fmt.Sprintf("--max-input-size=%d", maxBundle)}

// connected refuses a commit that is not made on the source's head or that lacks
// an object it needs.
func (s *scratch) connected(ctx context.Context, commit string) error {
	_, err := s.git(ctx, "compare commits", nil, "merge-base", "--is-ancestor", s.src.Head, commit)
	if exitCode(err) == 1 {
		return badBundle("its commit does not follow from %.12s", s.src.Head)
	}
	if exitCode(err) > 1 {
		return badBundle("its history cannot be read (%s)", sentence(saidBy(err)))
	}
	if err != nil {
		return err
	}
	_, err = s.git(ctx, "look for missing objects", nil, "rev-list", "--objects", "--quiet", commit, "^"+s.src.Head)
	if exitCode(err) > 0 {
		return badBundle("objects are missing from it (%s)", sentence(saidBy(err)))
	}
	return err
}

// add writes the objects and creates the branch.
func (s *Source) add(ctx context.Context, pack, commit, branch string) error {
	f, err := os.Open(pack)
	if err != nil {
		return onDisk(err)
	}
	defer f.Close()
	if err := s.write(ctx, f, indexPack...); err != nil {
		return s.undelivered(err)
	}
	err = s.create(ctx, branch, commit)
	switch said := saidBy(err); {
	case strings.Contains(said, "reference already exists"):
		// A git that outlived its killed mgx may have made it meanwhile.
		if at, err := s.branchAt(ctx, branch); err != nil || at == commit {
			return err
		}
		return branchExists(branch)
	case strings.Contains(said, "cannot create"):
		return mgx.Errorf(mgx.KindUsage, "branch_conflict", "the branch %s cannot be created, because one with part of its name exists; choose another name with --branch", branch)
	}
	return s.undelivered(err)
}

// create makes the branch, which must not exist. Another git may hold its lock
// for a moment.
func (s *Source) create(ctx context.Context, branch, commit string) (err error) {
	none := strings.Repeat("0", len(commit))
	for range 5 {
		err = s.write(ctx, nil, "update-ref", "-m", "mgx: deliver a run", "--no-deref", "refs/heads/"+branch, commit, none)
		if !strings.Contains(saidBy(err), ".lock': File exists") {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(200 * time.Millisecond):
		}
	}
	return err
}

// write is the way into the user's repository, for [Source.add] alone.
func (s *Source) write(ctx context.Context, stdin io.Reader, args ...string) error {
	env := append(s.env(), identity("COMMITTER", "MGX", "mgx@localhost", mgx.Stamp())...)
	_, err := hostCommand{dir: s.Path, env: env, stdin: stdin, args: args}.run(ctx)
	return err
}

// undelivered says that the result is safe and could not be put in place.
func (s *Source) undelivered(err error) error {
	if exitCode(err) < 0 {
		return err
	}
	return mgx.Errorf(mgx.KindConfig, "deliver_failed", "the branch could not be written to %s (%s); the result is kept, so put that right and use mgx resume", s.Path, sentence(saidBy(err)))
}
