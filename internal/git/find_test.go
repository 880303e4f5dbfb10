package git

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// shell runs a script in dir, with git as nobody has configured it.
func shell(t *testing.T, dir, script string) {
	t.Helper()
	cmd := exec.Command("sh", "-ec", script)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null", "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@b", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@b")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", script, err, out)
	}
}

const made = "git init -q -b main && echo hello >file && mkdir dir && echo x >dir/x && git add . && git commit -q -m first\n"

// What is found without asking git is what git finds, whatever the repository is like.
func TestPlainIsWhatGitFinds(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		script, at string
		plain      bool
	}{
		"as most are":             {made, "", true},
		"a directory within":      {made, "dir", false},
		"a changed file":          {made + "echo more >>file", "", true},
		"a staged file":           {made + "echo more >>file; git add file", "", true},
		"a deleted file":          {made + "rm file", "", true},
		"a new file":              {made + "touch new", "", true},
		"many new files":          {made + "for i in $(seq 5000); do : >a-long-name-of-a-new-file-$i; done", "", true},
		"an ignored file":         {made + "echo new >.git/info/exclude; touch new", "", true},
		"detached":                {made + "git checkout -q --detach", "", true},
		"a branch like a header":  {made + "git checkout -q -b '(detached)'", "", true},
		"an unknown branch":       {made + "git checkout -q -b '(unknown)'", "", true},
		"HEAD is no branch":       {made + "git update-ref refs/odd/x HEAD; git symbolic-ref HEAD refs/odd/x", "", true},
		"ahead of another":        {made + "git branch old; git branch -q -u old; echo >>file; git commit -qam more", "", true},
		"a stash":                 {made + "echo >>file; git stash -q; git config status.showStash true", "", true},
		"in a rebase":             {made + "git checkout -q -b b; echo b >file; git commit -qam b; git checkout -q main; echo a >file; git commit -qam a; ! git rebase -q b >&- 2>&-", "", true},
		"packed":                  {made + "git gc -q; git pack-refs --all", "", true},
		"left out at the top":     {made + "printf '*.bin filter=lfs\\n' >.gitattributes; : >.gitmodules; git add .; git commit -q -m more", "", true},
		"a filter of its own":     {made + "echo '* filter=own' >.gitattributes; git config filter.own.clean 'touch ../ran'; git config filter.own.required true; touch file", "", true},
		"not bare":                {made + "git config core.bare false", "", true},
		"bare after all":          {made + "git config core.bare true", "", true},
		"bare in other words":     {made + "git config core.bare yes", "", true},
		"files elsewhere":         {made + "mkdir ../other; git config core.worktree \"$(cd ../other && pwd)\"", "", true},
		"other ids":               {"git init -q -b main --object-format=sha256 && echo >file && git add . && git commit -q -m first", "", true},
		"an unknown extension":    {made + "git config core.repositoryformatversion 1; git config extensions.none true", "", true},
		"of another time":         {made + "git config core.repositoryformatversion 99", "", true},
		"settings by work tree":   {made + "git config extensions.worktreeConfig true; git config --worktree core.autocrlf true", "", true},
		"a setting in a file":     {made + "git config include.path more; printf '[core]\\nautocrlf = true\\n' >.git/more", "", true},
		"another work tree":       {made + "git worktree add -q ../linked -b linked", "../linked", false},
		"a link to a repository":  {made + "ln -s repo ../link", "../link", true},
		".git is a link":          {made + "mv .git ../real; ln -s ../real .git", "", false},
		".git is a file":          {made + "git init -q --separate-git-dir ../apart", "", false},
		"a submodule":             {made + "git clone -q . ../sub; git -c protocol.file.allow=always submodule -q add ../sub sub; git commit -qam sub", "sub", false},
		"shallow":                 {made + "echo >>file; git commit -qam more; git clone -q --depth 1 file://$PWD ../shallow", "../shallow", true},
		"borrowing":               {made + "git clone -q -s . ../borrowing", "../borrowing", true},
		"partial":                 {made + "git config uploadpack.allowFilter true; git clone -q --filter=blob:none file://$PWD ../partial", "../partial", true},
		"no commit":               {"git init -q -b main", "", true},
		"no commit on the branch": {made + "git checkout -q --orphan new", "", true},
		"a broken branch":         {made + "echo rubbish >.git/refs/heads/main", "", true},
		"no such commit":          {made + "rm -r .git/objects/$(git rev-parse HEAD | cut -c1-2)", "", true},
		"no tree":                 {made + "t=$(git rev-parse HEAD^{tree}); rm -f .git/objects/$(echo $t | cut -c1-2)/$(echo $t | cut -c3-)", "", true},
		"no index":                {made + "rm .git/index", "", true},
		"a broken index":          {made + "echo rubbish >.git/index", "", true},
		"a broken configuration":  {made + "echo [core >.git/config", "", true},
		"no HEAD":                 {made + "rm .git/HEAD", "", true},
		"no repository":           {"mkdir .git", "", true},
		"none within another":     {made + "mkdir -p inner/.git", "inner", true},
		"a bare one within":       {made + "git init -q --bare bare", "bare", false},
		"a common directory":      {made + "git worktree add -q ../linked -b linked; cp -r .git/worktrees/linked ../taken; rm -r ../linked/.git; mv ../taken ../linked/.git; echo $PWD/.git >../linked/.git/commondir", "../linked", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "repo")
			if err := os.Mkdir(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			shell(t, dir, tc.script)
			at := filepath.Join(dir, tc.at)
			if found := (finder{t.Context(), at}).plain(&Source{}); found != tc.plain {
				t.Errorf("found without git: %v", found)
			}
			want, wantErr := locate(t.Context(), at)
			if wantErr == nil {
				wantErr = want.look(t.Context(), &tops{})
			}
			known := &tops{}
			for range 2 { // the second time with what is known
				got, err := inspect(t.Context(), at, known)
				if fmt.Sprint(err) != fmt.Sprint(wantErr) {
					t.Fatalf("%v\nasked: %v", err, wantErr)
				}
				if err != nil {
					continue
				}
				if !reflect.DeepEqual(got, want) {
					t.Errorf("%+v\nasked: %+v", got, want)
				}
			}
			if exists(filepath.Join(dir, "../ran")) {
				t.Error("a program of the repository ran")
			}
		})
	}
}

// A task that is created waits for each process of git.
func TestInspectionsAskGitTwice(t *testing.T) {
	program, err := exec.LookPath("git")
	if err != nil {
		t.Fatal(err)
	}
	dir, bin := t.TempDir(), t.TempDir()
	shell(t, dir, made)
	count := filepath.Join(bin, "count")
	script := fmt.Sprintf("#!/bin/sh\necho \"$*\" >>%s\nexec %s \"$@\"\n", count, program)
	if err := os.WriteFile(filepath.Join(bin, "git"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	i := NewInspections()
	for _, tc := range []struct {
		change string
		want   int
	}{{":", 3}, {":", 2}, {program + " commit -q --allow-empty -m more", 3}, {"echo more >>file", 2}} {
		shell(t, dir, tc.change)
		if err := os.WriteFile(count, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		src, err := i.Inspect(t.Context(), dir)
		if err != nil || src.Dirty != strings.Contains(tc.change, "file") || src.Branch != "main" {
			t.Fatalf("%+v %v", src, err)
		}
		if said, err := os.ReadFile(count); err != nil || strings.Count(string(said), "\n") != tc.want {
			t.Errorf("after %q: git was asked %q, %v", tc.change, said, err)
		}
	}
}
