package mgx

import (
	"fmt"
	"strings"
	"time"
)

// UsageQuery selects rows of the ledger: those reserved from Since on and before
// Until. Every field that is set narrows the answer.
type UsageQuery struct {
	Workspace WorkspaceID
	Since     time.Time
	Until     time.Time
	By        UsageBy
	Project   ProjectID
	Task      TaskID
	Run       RunID
	User      UserID
	Role      string  // of the agent
	After     *string // the last Key, or id, of the page before
	Newest    bool    // of the ledger itself: the newest first
	Limit     int
}

// UsageBy is what usage is summed up by.
type UsageBy string

const (
	ByModel    UsageBy = "model" // as provider/model
	ByProvider UsageBy = "provider"
	ByRole     UsageBy = "role"
	ByTask     UsageBy = "task"
	ByRun      UsageBy = "run"
	ByProject  UsageBy = "project"
	ByUser     UsageBy = "user"
	ByDay      UsageBy = "day" // of UTC, as 2006-01-02
	ByCall     UsageBy = "call"
)

// UsageBys are all of them, ByCall last: that is no sum but the ledger itself.
var UsageBys = []UsageBy{ByModel, ByProvider, ByRole, ByTask, ByRun, ByProject, ByUser, ByDay, ByCall}

// ParseUsageBy reads a name.
func ParseUsageBy(s string) (UsageBy, error) {
	names := make([]string, len(UsageBys))
	for i, by := range UsageBys {
		if names[i] = string(by); string(by) == s {
			return by, nil
		}
	}
	return "", Errorf(KindUsage, "bad_usage_by", "usage is summed up by %s, not by %q", strings.Join(names, ", "), cut(s))
}

// UsageLine is what calls with one key used. The sums over all lines are those of
// the ledger, to the nanodollar.
type UsageLine struct {
	Key      string `json:"key"` // empty: not known, as for calls outside of tasks
	Calls    int64  `json:"calls"`
	Usage    Usage  `json:"tokens"`
	Cost     Money  `json:"cost_usd"` // settled
	Lost     Money  `json:"lost_usd"` // of Cost: nobody came back to say what was spent, so all that was set aside counts
	OpenRows int64  `json:"open_calls"`
	Open     Money  `json:"open_usd"` // set aside for calls under way
}

// UsageRow is a line of usage; Call is set when it is of a single call.
type UsageRow struct {
	UsageLine
	Call *UsageCall `json:"call,omitempty"`
}

// UsageCall is one attempt of a model call as people see it.
type UsageCall struct {
	ReservedAt   time.Time   `json:"reserved_at"`
	SettledAt    time.Time   `json:"settled_at,omitzero"`
	Outcome      Outcome     `json:"outcome,omitempty"`
	Provider     string      `json:"provider,omitempty"`
	Model        string      `json:"model,omitempty"`
	Role         string      `json:"role,omitempty"`
	PriceVersion string      `json:"price_version,omitempty"`
	Reserved     Money       `json:"reserved_usd"`
	Project      ProjectID   `json:"project_id,omitempty"`
	Task         TaskID      `json:"task_id,omitempty"`
	Run          RunID       `json:"run_id,omitempty"`
	User         UserID      `json:"user_id,omitempty"`
	Execution    ExecutionID `json:"execution_id,omitempty"`
	Note         string      `json:"note,omitempty"`
}

// Add returns the sum of two lines.
func (l UsageLine) Add(m UsageLine) UsageLine {
	l.Calls, l.Usage, l.Cost = l.Calls+m.Calls, l.Usage.Add(m.Usage), l.Cost+m.Cost
	l.Lost, l.OpenRows, l.Open = l.Lost+m.Lost, l.OpenRows+m.OpenRows, l.Open+m.Open
	return l
}

// Decimal writes dollars exactly, with nine digits after the point.
func (m Money) Decimal() string {
	sign, n := "", uint64(m)
	if m < 0 {
		sign, n = "-", uint64(-m)
	}
	return fmt.Sprintf("%s%d.%09d", sign, n/uint64(USD), n%uint64(USD))
}
