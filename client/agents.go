package client

import (
	"context"
	"time"

	"mgx"
)

// Agent is a role of the team: what it is for, what it is told and given, and what it
// is doing.
type Agent struct {
	Role         string     `json:"role"`
	Purpose      string     `json:"purpose"`
	Tools        []string   `json:"tools"` // besides finish
	MaxTurns     int        `json:"max_turns"`
	Instructions string     `json:"instructions"`
	Digest       string     `json:"instructions_digest"` // sha256:…
	Now          []AgentNow `json:"now"`
}

// AgentNow is what an agent was last seen doing in a run that is at work.
type AgentNow struct {
	Run   mgx.RunID     `json:"run_id"`
	Task  mgx.TaskID    `json:"task_id"`
	Title string        `json:"title"`
	Model string        `json:"model"`
	What  mgx.EventType `json:"event_type"`
	Since time.Time     `json:"since"`
}

// Agents lists the roles of the team, by name.
func (c *Client) Agents(ctx context.Context) ([]Agent, error) {
	var all struct {
		Agents []Agent `json:"agents"`
	}
	return all.Agents, c.get(ctx, "/api/v1/agents", nil, &all)
}
