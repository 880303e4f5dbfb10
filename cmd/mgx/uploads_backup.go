package main

import (
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"mgx"
	"mgx/internal/git"
	"mgx/internal/lazy"
)

// A run names the repository that was sent by the path at which it began. Its data
// directory may be restored at another place: there it is the one of the same workspace
// and digest. Which projects its runs are of is noted in it, since that says their path.
const sentFrom = ".git/mgx.from" // a directory with a file by the name of each such project

var (
	sentPath = lazy.Regexp(`/(uploads/(ws_[0-9A-Za-z]{1,40})/[0-9a-f]{64})$`)
	sentFile = lazy.Regexp(`^(uploads/ws_[0-9A-Za-z]{1,40}/[0-9a-f]{64})/(.+)$`)
	sentNote = lazy.Regexp(`^\.git/mgx\.from/proj_[0-9A-Z]{26}$`)
)

// sentTo is where in a data directory a repository of a workspace lies that was sent;
// empty: it is none.
func sentTo(ws mgx.WorkspaceID, repo string) string {
	m := sentPath().FindStringSubmatch(filepath.ToSlash(repo))
	if m == nil || m[2] != string(ws) {
		return ""
	}
	return m[1]
}

// hereIn is the repository of a run as it is found with a data directory.
func hereIn(data string, ws mgx.WorkspaceID, repo mgx.RepoInfo) mgx.RepoInfo {
	if sent := sentTo(ws, repo.Path); sent != "" {
		if own := filepath.Join(data, sent); isDir(own) {
			repo.Path = own
		}
	}
	return repo
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// sentFiles adds to a backup the repositories that its runs work on and that were sent,
// each once.
type sentFiles struct {
	data  string
	added map[string]bool
}

func (s *sentFiles) of(run mgx.Run, add func(string, fs.FileMode, io.Reader) error) error {
	sent := sentTo(run.Workspace, run.Repo.Path)
	if sent == "" || !isDir(filepath.Join(s.data, sent)) {
		return nil
	}
	if !s.added[sent] {
		s.added[sent] = true
		dir := filepath.Join(s.data, sent)
		if err := addAll(dir, sent, git.ReceivedFiles(dir), add); err != nil {
			return err
		}
	}
	note := path.Join(sent, sentFrom, string(mgx.ProjectOf(run.Repo.Path)))
	if s.added[note] {
		return nil
	}
	s.added[note] = true
	return add(note, 0o600, strings.NewReader(""))
}

// validSent reports whether a file of a backup can be of a repository that was sent.
func validSent(name string) bool {
	m := sentFile().FindStringSubmatch(name)
	return m != nil && (git.ValidReceived(m[2]) || sentNote().MatchString(m[2]))
}

// projects are those that runs on a repository can be of.
func (u *uploads) projects(dir string) (all []mgx.ProjectID, err error) {
	all = []mgx.ProjectID{mgx.ProjectOf(dir)}
	notes, err := os.ReadDir(filepath.Join(dir, sentFrom))
	for _, note := range notes {
		all = append(all, mgx.ProjectID(note.Name()))
	}
	return all, ifThere(err)
}
