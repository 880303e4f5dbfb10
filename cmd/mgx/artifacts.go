package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"mgx"
	"mgx/client"
	"mgx/internal/app"
	"mgx/internal/ui"
)

func (c *cli) artifactsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "artifacts RUN",
		Short: "List what a run has made and was given, and fetch it",
		Long: `Lists what a run has made so far and what it was given: the patch of its changes, its plan,
checks, review and answer, its branch and its attachments. What has a size or a media type can be
fetched with: mgx artifacts get. The branch itself comes with: mgx get.`,
		Example: `  mgx artifacts 7Q2K
  mgx artifacts get 7Q2K changes.patch --output fix.patch`,
		Args: oneArg("a run"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withRunOf(cmd.Context(), args[0], func(ctx context.Context, r runs, run mgx.Run) error {
				return c.listArtifacts(ctx, r, run)
			})
		},
	}
	cmd.AddCommand(c.artifactGetCommand())
	return cmd
}

func (c *cli) listArtifacts(ctx context.Context, r runs, run mgx.Run) error {
	all, err := r.Artifacts(ctx, run.ID)
	if err != nil {
		return err
	}
	if c.json {
		return printJSON(c, all...)
	}
	if len(all) == 0 {
		c.tell("%s has made nothing yet, and was given nothing.\n", run.ID)
		return nil
	}
	w := tabwriter.NewWriter(c.out, 0, 4, 2, ' ', 0)
	for _, a := range all {
		size := ""
		if a.Size > 0 {
			size = fmt.Sprintf("%d bytes", a.Size)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", cell(a.Kind), cell(a.Name), size, cell(cmp.Or(a.Media, a.Detail, a.Digest)))
	}
	return w.Flush()
}

// cell is a text of any origin as one line of a table.
func cell(text string) string { return strings.Join(strings.Fields(ui.Text(text)), " ") }

func (c *cli) artifactGetCommand() *cobra.Command {
	var file string
	var force bool
	cmd := &cobra.Command{
		Use:   "get RUN NAME",
		Short: "Print an artifact of a run, or write it to a file",
		Long: `Prints an artifact, by its name or by the digest of its bytes, or writes it to a file.
Agents made it: at a terminal you see its text without what would control the terminal; a
file, and a program that reads it, get the bytes as they are. The file is named by you
alone, and one that is there already stays, unless you say --force.`,
		Args: twoArgs("a run", "the name of an artifact", 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case file == "" && force:
				return usage("bad_flag", "--force goes with --output")
			case file == "" && c.json:
				return usage("bad_flag", "--json goes with --output, and says what was written; without it the artifact itself is printed")
			}
			return c.withRunOf(cmd.Context(), args[0], func(ctx context.Context, r runs, run mgx.Run) error {
				media, content, err := r.Artifact(ctx, run.ID, args[1])
				if err != nil {
					return err
				}
				if file == "" {
					return c.showArtifact(media, content)
				}
				if err := writeFile(file, content, force); err != nil {
					return err
				}
				if c.json {
					sum := sha256.Sum256(content)
					return printJSON(c, map[string]any{"run_id": run.ID, "name": args[1], "file": file, "size": len(content), "digest": "sha256:" + hex.EncodeToString(sum[:])})
				}
				c.tell("Wrote %s, %d bytes.\n", file, len(content))
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&file, "output", "", "write it to this new `file`")
	cmd.Flags().BoolVar(&force, "force", false, "replace the file if it is there")
	return cmd
}

// showArtifact prints what agents made: to a terminal only what is text, else every
// byte.
func (c *cli) showArtifact(media string, content []byte) error {
	if media == patchMedia {
		return ui.Diff(c.out, string(content), ui.Auto)
	}
	if !isTerminal(c.out) {
		_, err := c.out.Write(content)
		return err
	}
	for line := range strings.Lines(string(content)) {
		if _, err := fmt.Fprintln(c.out, ui.Text(line)); err != nil {
			return err
		}
	}
	return nil
}

const patchMedia = "text/x-diff"

// writeFile writes a file that only its owner reads. One that is there stays, unless
// it is to be replaced: a new file then gets its name, so that nothing is written
// through a link, and it is never there half written.
func writeFile(name string, content []byte, replace bool) (err error) {
	var f *os.File
	if replace {
		f, err = os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".part-*") // 0600
	} else {
		f, err = os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	}
	if errors.Is(err, fs.ErrExist) {
		return usage("file_exists", "%s exists already; choose another name, or replace it with --force", name)
	}
	if err == nil {
		_, err = f.Write(content)
		if err = errors.Join(err, f.Close()); err == nil && replace {
			err = os.Rename(f.Name(), name)
		}
		if err != nil {
			os.Remove(f.Name())
		}
	}
	if err != nil {
		return mgx.Errorf(mgx.KindConfig, "file_unwritable", "%s cannot be written: %w", name, err)
	}
	return nil
}

func (o ownRuns) Artifacts(ctx context.Context, id mgx.RunID) ([]client.Artifact, error) {
	all, err := o.n.app.Artifacts(ctx, o.n.me(), id)
	list := make([]client.Artifact, len(all))
	for i, a := range all {
		list[i] = client.Artifact(a)
	}
	return list, err
}

func (o ownRuns) Artifact(ctx context.Context, id mgx.RunID, name string) (media string, content []byte, err error) {
	var a app.Artifact
	a, content, err = o.n.app.Artifact(ctx, o.n.me(), id, name)
	return a.Media, content, err
}
