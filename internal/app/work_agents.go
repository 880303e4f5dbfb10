package app

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"time"

	"mgx"
	"mgx/internal/access"
	"mgx/internal/team"
)

// AgentInfo is a role of the team: what it is for, what it is told and given, and
// what it is doing.
type AgentInfo struct {
	Role         string     `json:"role"`
	Purpose      string     `json:"purpose"`
	Tools        []string   `json:"tools"` // besides finish
	MaxTurns     int        `json:"max_turns"`
	Instructions string     `json:"instructions"`
	Digest       string     `json:"instructions_digest"` // sha256:…
	Now          []AgentNow `json:"now"`                 // at most maxNow
}

// AgentNow is what an agent was last seen doing in a run that is at work.
type AgentNow struct {
	Run   mgx.RunID     `json:"run_id"`
	Task  mgx.TaskID    `json:"task_id"`
	Title string        `json:"title"`
	Model string        `json:"model"` // asked for by the run
	What  mgx.EventType `json:"event_type"`
	Since time.Time     `json:"since"`
}

const (
	maxNow     = 50  // runs that are looked at
	nowFarBack = 100 // events of each
)

// Agents lists the roles of the built-in team, by name.
func (w *Work) Agents(ctx context.Context, actor access.Actor) ([]AgentInfo, error) {
	if err := w.may(ctx, actor, "read", "agents"); err != nil {
		return nil, err
	}
	roles, err := team.Roles()
	if err != nil {
		return nil, err
	}
	now, err := w.agentsNow(ctx, actor)
	if err != nil {
		return nil, err
	}
	var all []AgentInfo
	for _, r := range roles {
		sum := sha256.Sum256([]byte(r.Instructions))
		all = append(all, AgentInfo{
			Role: r.Name, Purpose: r.Purpose, Tools: append([]string{}, r.Tools...), MaxTurns: r.Turns, Instructions: r.Instructions,
			Digest: "sha256:" + hex.EncodeToString(sum[:]), Now: append([]AgentNow{}, now[r.Name]...),
		})
	}
	slices.SortFunc(all, func(a, b AgentInfo) int { return cmp.Compare(a.Role, b.Role) })
	return all, nil
}

// AgentDetail is a role with what its tools do.
type AgentDetail struct {
	AgentInfo
	Given []Given `json:"given"` // tools that it has
	Kept  []Given `json:"kept"`  // built-in tools that it has not
}

// Given is a tool as people read of it.
type Given = team.Given

// Agent returns one role of the built-in team.
func (w *Work) Agent(ctx context.Context, actor access.Actor, role string) (AgentDetail, error) {
	all, err := w.Agents(ctx, actor)
	if err != nil {
		return AgentDetail{}, err
	}
	at := slices.IndexFunc(all, func(a AgentInfo) bool { return a.Role == role })
	if at < 0 {
		return AgentDetail{}, noSuch("agent", role)
	}
	d := AgentDetail{AgentInfo: all[at]}
	d.Given, d.Kept = team.Role{Tools: d.Tools}.Gives()
	return d, nil
}

// agentsNow says by role who was last seen in the runs that are at work.
func (w *Work) agentsNow(ctx context.Context, actor access.Actor) (map[string][]AgentNow, error) {
	now := map[string][]AgentNow{}
	if w.may(ctx, actor, "read", "runs") != nil {
		return now, nil
	}
	runs, err := w.o.Store.RunInfos(ctx, mgx.RunFilter{Workspace: actor.Workspace, Statuses: []mgx.RunStatus{mgx.RunRunning}}, "", maxNow)
	if err != nil {
		return nil, err
	}
	for _, r := range runs {
		events, err := w.o.Store.StreamAfter(ctx, mgx.StreamID(r.ID), max(0, r.Sequence-nowFarBack), nowFarBack)
		if err != nil {
			return nil, err
		}
		for _, e := range slices.Backward(events) {
			var d struct {
				Role string `json:"agent_role"`
			}
			if json.Unmarshal(e.Data, &d) == nil && d.Role != "" {
				now[d.Role] = append(now[d.Role], AgentNow{Run: r.ID, Task: r.Task.ID, Title: r.Task.Title, Model: r.Settings.Model, What: e.Type, Since: e.Time})
				break
			}
		}
	}
	return now, nil
}
