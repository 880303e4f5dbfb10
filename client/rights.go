package client

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"

	"mgx"
)

// Rights are what is done with what is held on people, on the workspace and on its
// work when they ask for it.
type Rights struct{ c *Client }

// Rights is what can be done about what is held.
func (c *Client) Rights() Rights { return Rights{c} }

// FindPerson finds the person with an address (CodeNotFound).
func (r Rights) FindPerson(ctx context.Context, email string) (mgx.UserID, error) {
	var found struct {
		People []struct {
			ID mgx.UserID `json:"id"`
		} `json:"people"`
	}
	if err := r.c.get(ctx, "/api/v1/people", url.Values{"email": {email}}, &found); err != nil {
		return "", err
	}
	if len(found.People) == 0 {
		return "", mgx.Errorf(mgx.KindUsage, mgx.CodeNotFound, "there is no person %s", email)
	}
	return found.People[0].ID, nil
}

// PlanPerson says what erasing a person would erase.
func (r Rights) PlanPerson(ctx context.Context, id mgx.UserID) (p mgx.PersonErasure, err error) {
	return p, r.c.get(ctx, personPath(id)+"/erasure", nil, &p)
}

// ErasePerson erases a person for good, with the words of their tasks if they go too.
func (r Rights) ErasePerson(ctx context.Context, id mgx.UserID, tasks bool) (p mgx.PersonErasure, err error) {
	body := map[string]any{"confirm": id, "tasks": tasks}
	return p, r.c.send(ctx, http.MethodPost, personPath(id)+"/erasure", nil, body, &p)
}

// PlanWorkspace says what erasing a workspace would erase.
func (r Rights) PlanWorkspace(ctx context.Context, ws mgx.WorkspaceID) (p mgx.WorkspaceErasure, err error) {
	return p, r.c.get(ctx, workspacePath(ws)+"/erasure", nil, &p)
}

// EraseWorkspace erases a workspace for good.
func (r Rights) EraseWorkspace(ctx context.Context, ws mgx.WorkspaceID) (p mgx.WorkspaceErasure, err error) {
	return p, r.c.send(ctx, http.MethodPost, workspacePath(ws)+"/erasure", nil, map[string]any{"confirm": ws}, &p)
}

// PlanWork says what erasing a task or a run would erase.
func (r Rights) PlanWork(ctx context.Context, w mgx.Work) (p mgx.WorkErasure, err error) {
	return p, r.c.get(ctx, workPath(w)+"/erasure", nil, &p)
}

// EraseWork erases a task with its runs, or a run, for good.
func (r Rights) EraseWork(ctx context.Context, w mgx.Work) (p mgx.WorkErasure, err error) {
	return p, r.c.send(ctx, http.MethodPost, workPath(w)+"/erasure", nil, map[string]any{"confirm": w.ID()}, &p)
}

// RetainEvents has the server remove the events whose time is over; dry: it counts
// them.
func (r Rights) RetainEvents(ctx context.Context, dry bool) (done mgx.RetainedEvents, err error) {
	return done, r.c.send(ctx, http.MethodPost, retentionPath+"/removal", nil, map[string]any{"dry_run": dry}, &done)
}

// Kept is for how long the events of a category are kept.
type Kept struct {
	Category string `json:"category"`
	Days     int64  `json:"days,omitempty"` // that are set; 0: each type is kept as its contract says
	Default  []int  `json:"default_days"`   // what contracts say, each once
	Least    int64  `json:"least_days"`
	Most     int64  `json:"most_days"`
	Types    int    `json:"types"`
}

type retention struct {
	Retention []Kept `json:"retention"`
}

// Retention says for how long events are kept, by category.
func (r Rights) Retention(ctx context.Context) ([]Kept, error) {
	var all retention
	return all.Retention, r.c.get(ctx, retentionPath, nil, &all)
}

// EditRetention sets the days that change makes of those that are set, by category,
// unless somebody else sets them meanwhile (mgx.CodeChanged). It is given each category;
// 0 days: as its contracts say.
func (r Rights) EditRetention(ctx context.Context, change func(days map[string]int64)) ([]Kept, error) {
	var seen string
	was, err := Rights{r.c.Seeing(&seen)}.Retention(ctx)
	if err != nil {
		return nil, err
	}
	var all retention
	return all.Retention, r.c.If(seen).send(ctx, http.MethodPut, retentionPath, nil, map[string]any{"days": Changed(was, change)}, &all)
}

// Changed are the days that change makes of those that are set; of a category that is
// kept as contracts say they are 0.
func Changed(was []Kept, change func(days map[string]int64)) map[string]int64 {
	days := map[string]int64{}
	for _, k := range was {
		days[k.Category] = k.Days
	}
	change(days)
	for _, k := range was {
		if days[k.Category] == 0 {
			delete(days, k.Category)
		}
	}
	return days
}

const retentionPath = "/api/v1/settings/retention"

// Record is one thing that is held.
type Record struct {
	Kind   string          `json:"kind"`
	Record json.RawMessage `json:"record"`
}

// ExportPerson calls back for everything that is held on a person. Like all exports
// it returns without an error only when the server has said that this was all of it,
// and its digest fits what came.
func (r Rights) ExportPerson(ctx context.Context, id mgx.UserID, each func(Record) error) error {
	return r.export(ctx, personPath(id)+"/export", each)
}

// ExportWorkspace calls back for everything that is held on a workspace.
func (r Rights) ExportWorkspace(ctx context.Context, ws mgx.WorkspaceID, each func(Record) error) error {
	return r.export(ctx, workspacePath(ws)+"/export", each)
}

// ExportWork calls back for everything that is held on a task or a run.
func (r Rights) ExportWork(ctx context.Context, w mgx.Work, each func(Record) error) error {
	return r.export(ctx, workPath(w)+"/export", each)
}

func (r Rights) export(ctx context.Context, path string, each func(Record) error) error {
	req, err := r.c.request(ctx, http.MethodGet, path, nil, nil)
	if err != nil {
		return err
	}
	resp, err := r.c.http.Do(req)
	if err != nil {
		return r.c.unreachable(ctx, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
		return r.c.problem(resp.StatusCode, text)
	}
	sum, lines := sha256.New(), int64(0)
	for in := bufio.NewReaderSize(resp.Body, 1<<20); ; lines++ {
		line, err := longLine(in)
		switch {
		case errors.Is(err, errLongLine):
			return r.c.strange("a line is longer than %d bytes", maxAnswer)
		case err != nil:
			return r.c.brokeOff(ctx)
		}
		var record Record
		if err := json.Unmarshal(line, &record); err != nil {
			return r.c.strange("%w", err)
		}
		if record.Kind == "end" {
			return r.c.whole(record.Record, lines, hex.EncodeToString(sum.Sum(nil)))
		}
		sum.Write(line)
		if err := each(record); err != nil {
			return err
		}
	}
}

// whole holds what came against what the server says it sent.
func (c *Client) whole(end json.RawMessage, lines int64, sum string) error {
	var said struct {
		Lines  int64  `json:"lines"`
		SHA256 string `json:"sha256"`
	}
	if err := json.Unmarshal(end, &said); err != nil || said.Lines != lines || said.SHA256 != sum {
		return c.strange("the digest of what came is not that of what was sent; try again")
	}
	return nil
}

func (c *Client) brokeOff(ctx context.Context) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	return mgx.Errorf(mgx.KindConfig, CodeUnreachable, "the answer of %s broke off; try again", c.base.Host)
}

var errLongLine = errors.New("the line is too long")

// longLine reads a line of at most maxAnswer bytes, with its end. One that has none
// is an error.
func longLine(in *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := in.ReadSlice('\n')
		if line == nil && err == nil {
			return part, nil
		}
		line = append(line, part...)
		switch {
		case len(line) > maxAnswer:
			return nil, errLongLine
		case err == nil:
			return line, nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		}
	}
}

func personPath(id mgx.UserID) string { return "/api/v1/people/" + url.PathEscape(string(id)) }

func workspacePath(ws mgx.WorkspaceID) string {
	return "/api/v1/workspaces/" + url.PathEscape(string(ws))
}

func workPath(w mgx.Work) string {
	if w.Run != "" {
		return runPath(w.Run)
	}
	return "/api/v1/tasks/" + url.PathEscape(string(w.Task))
}
