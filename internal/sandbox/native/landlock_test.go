//go:build linux

package native_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"mgx/internal/sandbox"
	"mgx/internal/sandbox/confine"
	"mgx/internal/sandbox/internal/landlock"
	"mgx/internal/sandbox/native"
)

// changes to a directory, by the word that each writes when it works.
var changes = []string{
	"echo new >new && echo write", "echo more >>file && echo append", "truncate -s 0 file && echo truncate", "mkdir made && echo mkdir", "ln -s file symlink && echo symlink",
	"ln file hardlink && echo link", "mkfifo pipe && echo fifo", "mv file moved && echo rename", "rm other && echo remove", "rmdir empty && echo rmdir",
}

// TestLandlockBehindMounts opens the mounts wide that should be read-only, after what
// they may was settled: Landlock alone holds then. Without it every change works.
func TestLandlockBehindMounts(t *testing.T) {
	if confine.FindWalls().Landlock < landlock.VersionTruncate {
		t.Skip("this kernel has no Landlock that guards all changes")
	}
	var all []string
	for _, change := range changes {
		all = append(all, change[strings.LastIndex(change, " ")+1:])
	}
	for name, want := range map[string][]string{"with it": nil, "without it": slices.Concat(all, all)} {
		t.Run(name, func(t *testing.T) {
			dirs := []string{t.TempDir(), t.TempDir()}
			for _, dir := range dirs {
				for _, file := range []string{"file", "other"} {
					if err := os.WriteFile(filepath.Join(dir, file), []byte("text"), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				if err := os.Mkdir(filepath.Join(dir, "empty"), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			script := "for d in /workspace /shown; do cd $d && cat file && echo || exit; { " + strings.Join(changes, "; ") + "; } 2>/dev/null; done; :"
			var out bytes.Buffer
			cmd := sandbox.Command{Args: []string{"sh", "-c", script}, Stdout: &out, Stderr: &out, Timeout: time.Minute, ReadOnly: true}
			spec := sandbox.Spec{Work: dirs[0], Mounts: []sandbox.Mount{{Host: dirs[1], Guest: "/shown", Mode: sandbox.ReadOnly}}}
			box := confine.Box{Spec: spec, Base: confine.System(), Limits: confine.LimitsOf(spec)}
			p, err := box.Plan(cmd)
			if err != nil {
				t.Fatal(err)
			}
			p.UID, p.GID = os.Geteuid(), os.Getegid()
			if want != nil {
				p.Walls.Landlock = 0
			}
			wide := func(ctx context.Context, files []*os.File, group confine.Group) (confine.Process, error) {
				for i, m := range p.Mounts { // which the plan that is on its way shares
					if slices.Contains(dirs, m.Source) {
						p.Mounts[i].ReadOnly = false
					}
				}
				return native.Start(ctx, files, group)
			}
			m := confine.Machine{Start: wide, Refuse: func(_ string, err error) error { return err }}
			if _, err := m.Run(t.Context(), p, cmd, nil); err != nil {
				t.Fatal(err)
			}
			got := slices.DeleteFunc(strings.Fields(out.String()), func(word string) bool { return word == "text" })
			if !slices.Equal(got, want) || strings.Count(out.String(), "text\n") != len(dirs) {
				t.Errorf("%q, not %q", out.String(), want)
			}
		})
	}
}
