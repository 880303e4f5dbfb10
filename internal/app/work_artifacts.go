package app

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"mgx"
	"mgx/internal/access"
)

// Diff is what a run has changed.
type Diff struct {
	Base  string     `json:"base,omitempty"` // commit that it is a difference to
	Tree  string     `json:"tree,omitempty"` // commit or tree of the files as they are
	Files []DiffFile `json:"files"`
	Text  string     `json:"text"` // unified; what is too long is cut, and it says so
}

// DiffFile is one file of it. Names that are not UTF-8 have their odd bytes replaced.
type DiffFile struct {
	Path      string `json:"path"`
	OldPath   string `json:"old_path,omitempty"`
	Status    string `json:"status"` // added, modified, deleted, renamed, retyped
	Additions int    `json:"additions"`
	Deletions int    `json:"deletions"`
	Binary    bool   `json:"binary,omitempty"`
}

// Diff is what a run of the actor's workspace has changed so far. Four are made at
// once; who comes then waits.
func (w *Work) Diff(ctx context.Context, actor access.Actor, id mgx.RunID) (Diff, error) {
	run, err := w.runFor(ctx, actor, "read", "artifacts", id)
	if err != nil {
		return Diff{}, err
	}
	return w.diff(ctx, run.Run)
}

func (w *Work) diff(ctx context.Context, run mgx.Run) (Diff, error) {
	if err := run.NotErased(); err != nil {
		return Diff{}, err
	}
	leave, err := w.seats.take(ctx, run.Workspace)
	if err != nil {
		return Diff{}, err
	}
	defer leave()
	d, err := w.o.Host.Diff(ctx, run)
	d.Files = append([]DiffFile{}, d.Files...)
	return d, err
}

// Artifact is something that a run has made, or was given.
type Artifact struct {
	Name   string `json:"name"`
	Kind   string `json:"kind"` // patch, plan, checks, review, answer, branch, attachment
	Media  string `json:"media_type,omitempty"`
	Digest string `json:"digest,omitempty"` // sha256:…
	Size   int64  `json:"size,omitempty"`
	// Kept says that it can be fetched by its name.
	Kept   bool   `json:"kept"`
	Detail string `json:"detail,omitempty"` // of a branch: its commit
}

// patchName is the artifact that is made when it is asked for.
const patchName = "changes.patch"

// Artifacts lists what a run of the actor's workspace has made by now, and what it
// was given.
func (w *Work) Artifacts(ctx context.Context, actor access.Actor, id mgx.RunID) ([]Artifact, error) {
	run, err := w.runFor(ctx, actor, "read", "artifacts", id)
	if err != nil {
		return nil, err
	}
	if err := run.NotErased(); err != nil {
		return nil, err
	}
	all := []Artifact{}
	if run.Tree != "" || run.Commit != "" {
		all = append(all, Artifact{Name: patchName, Kind: "patch", Media: "text/x-diff", Kept: true})
	}
	for _, k := range kept(run.Run) {
		all = append(all, k.Artifact)
	}
	if d := run.Delivered; d != nil {
		all = append(all, Artifact{Name: d.Branch, Kind: "branch", Detail: d.Commit})
	}
	for _, a := range run.Settings.Attachments {
		all = append(all, Artifact{Name: a.Name, Kind: "attachment", Digest: a.Digest, Size: a.Size})
	}
	return all, nil
}

// keptArtifact is one whose bytes are in the run's row.
type keptArtifact struct {
	Artifact
	bytes []byte
}

func kept(run mgx.Run) (all []keptArtifact) {
	add := func(name, kind, media string, b []byte) {
		sum := sha256.Sum256(b)
		all = append(all, keptArtifact{Artifact{Name: name, Kind: kind, Media: media, Digest: "sha256:" + hex.EncodeToString(sum[:]), Size: int64(len(b)), Kept: true}, b})
	}
	addJSON := func(name, kind string, v any) {
		if b, err := json.MarshalIndent(v, "", "  "); err == nil {
			add(name, kind, "application/json", append(b, '\n'))
		}
	}
	if run.Plan != nil {
		addJSON("plan.json", "plan", run.Plan)
	}
	if len(run.Checks.Checks) > 0 {
		addJSON("checks.json", "checks", run.Checks)
	}
	if run.Review.Verdict != "" {
		addJSON("review.json", "review", run.Review)
	}
	if run.Answer != "" {
		add("answer.md", "answer", "text/markdown", []byte(run.Answer))
	}
	return all
}

// Artifact fetches an artifact of a run by its name, or by the digest of its bytes.
func (w *Work) Artifact(ctx context.Context, actor access.Actor, id mgx.RunID, name string) (Artifact, []byte, error) {
	run, err := w.runFor(ctx, actor, "read", "artifacts", id)
	if err != nil {
		return Artifact{}, nil, err
	}
	if err := run.NotErased(); err != nil {
		return Artifact{}, nil, err
	}
	if name == patchName && (run.Tree != "" || run.Commit != "") {
		d, err := w.diff(ctx, run.Run)
		return Artifact{Name: name, Kind: "patch", Media: "text/x-diff", Size: int64(len(d.Text)), Kept: true}, []byte(d.Text), err
	}
	for _, k := range kept(run.Run) {
		if k.Name == name || k.Digest == name {
			return k.Artifact, k.bytes, nil
		}
	}
	return Artifact{}, nil, mgx.Errorf(mgx.KindUsage, mgx.CodeNotFound, "run %s has no artifact of this name that can be fetched; mgx artifacts %s lists them, and GET /api/v1/runs/%s/artifacts", id, id, id)
}
