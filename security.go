package mgx

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Security is what a run's events say of its safety: what it read that others
// wrote, what that could have led to, and what was held back. It is a fold like
// [Run]: apply the events of the run's stream in order.
type Security struct {
	Run     RunID          `json:"run_id"`
	Read    []ReadItem     `json:"read,omitempty"`    // untrusted content, in the order in which it was read
	Calls   []SecurityCall `json:"calls,omitempty"`   // of tools that do more than read, and all that were not simply allowed
	Alarms  []Alarm        `json:"alarms,omitempty"`  // canaries, suspicions and other security events
	Hosts   []HostUse      `json:"hosts,omitempty"`   // that commands asked for
	Limits  []LimitReached `json:"limits,omitempty"`  // that ended something early
	Foreign []string       `json:"foreign,omitempty"` // paths delivered that others run or obey: CI, hooks, settings of agents

	open    map[string]int       // index in Calls or Read of a call that has no result yet, by id
	pending map[string]pendingIn // calls whose result will be a ReadItem
	asked   map[string]int       // index in Calls, by approval
	joined  map[string][]joining // conversations that a role's words went to
	marks   map[string][]string  // suspicions of what is read later, by item
}

// ReadItem is one text that a conversation was given and that others may have
// written.
type ReadItem struct {
	Sequence     int64     `json:"sequence"`
	Time         time.Time `json:"time"`
	Conversation string    `json:"conversation"`
	Item         string    `json:"item"` // what it is: "AGENTS.md", "read greet.sh"
	Label        Label     `json:"label"`
	Suspicions   []string  `json:"suspicions,omitempty"` // in which it looks like an injection
	Influenced   []int64   `json:"influenced,omitempty"` // sequences of the calls that may have been made because of it, bounded
	More         int       `json:"more,omitempty"`       // calls beyond those

	callID string
}

// SecurityCall is one tool call and what became of it.
type SecurityCall struct {
	Sequence     int64  `json:"sequence"`
	Conversation string `json:"conversation,omitempty"`
	Name         string `json:"name"`
	Effect       string `json:"effect"`
	Summary      string `json:"summary"`
	Status       string `json:"status,omitempty"`
	Verdict      string `json:"verdict,omitempty"`
	Rule         string `json:"rule,omitempty"`
	Why          string `json:"why,omitempty"`
	Asked        bool   `json:"asked,omitempty"` // a person was
	Approved     bool   `json:"approved,omitempty"`
	By           string `json:"by,omitempty"` // who decided
	Reason       string `json:"reason,omitempty"`

	callID string
}

// Alarm is a security event of the run.
type Alarm struct {
	Sequence int64     `json:"sequence"`
	Time     time.Time `json:"time"`
	Severity string    `json:"severity"`
	What     string    `json:"what"`
	Detail   string    `json:"detail"`
	Blocked  bool      `json:"blocked"`
}

// HostUse is what commands asked of one host.
type HostUse struct {
	Host     string `json:"host"`
	Port     int    `json:"port"`
	Decision string `json:"decision"` // allowed, refused
	Reason   string `json:"reason,omitempty"`
	Times    int    `json:"times"`
	Sent     int64  `json:"sent_bytes"`
}

// LimitReached is a limit that ended something.
type LimitReached struct {
	Sequence int64  `json:"sequence"`
	What     string `json:"what"`
}

type pendingIn struct{ item, conversation string }

// joining says that from a sequence on a conversation has words of another.
type joining struct {
	to   string
	from int64
}

const (
	maxInfluenced = 200   // calls listed for an item
	maxListed     = 2_000 // entries of a list; later ones are dropped
)

// Apply takes in the next event. Types that say nothing of safety change nothing.
func (s *Security) Apply(e Event) error {
	if fold := securityFolds[e.Type]; fold != nil {
		return fold(s, e)
	}
	return nil
}

var securityFolds = map[EventType]func(*Security, Event) error{
	AgentBriefed:       secured((*Security).briefed),
	ToolCalled:         secured((*Security).called),
	ToolReturned:       secured((*Security).returned),
	ApprovalRequested:  secured((*Security).requested),
	ApprovalDecided:    secured((*Security).decided),
	SuspiciousActivity: secured((*Security).suspected),
	BreachDetected:     secured(func(s *Security, e Event, d BreachData) { s.suspected(e, d.SuspicionData) }),
	RunNetworkUsed:     secured((*Security).visited),
	RunLimitReached:    secured((*Security).reached),
	RunDelivered:       secured((*Security).delivered),
	TaskFailed:         secured((*Security).failed),
}

func secured[D any](f func(*Security, Event, D)) func(*Security, Event) error {
	return func(s *Security, e Event) error {
		var d D
		if err := e.Decode(&d); err != nil {
			return err
		}
		if s.open == nil {
			*s = Security{Run: RunID(e.Stream), open: map[string]int{}, pending: map[string]pendingIn{}, asked: map[string]int{}, joined: map[string][]joining{}, marks: map[string][]string{}}
		}
		f(s, e, d)
		return nil
	}
}

// fromWhom says whose words an item is, besides those of files and programs.
var fromWhom = map[string]string{"plan": "planner", "diff": "implementer", "results of checks": "implementer", "findings": "reviewer"}

func (s *Security) briefed(e Event, d AgentBriefedData) {
	for _, item := range d.Items {
		if who := fromWhom[item.What]; who != "" {
			s.joined[who] = append(s.joined[who], joining{d.Conversation, e.Sequence})
		}
		if item.Label.Untrusted {
			s.read(e, ReadItem{Conversation: d.Conversation, Item: item.What, Label: item.Label, Suspicions: s.marks[item.What]})
		}
	}
}

func (s *Security) read(e Event, item ReadItem) {
	if len(s.Read) < maxListed {
		item.Sequence, item.Time = e.Sequence, e.Time
		s.Read = append(s.Read, item)
	}
}

// called notes the call, and what may have led to it.
func (s *Security) called(e Event, d ToolCallData) {
	s.pending[d.CallID] = pendingIn{strings.TrimSpace(d.Name + " " + d.Summary), d.Conversation}
	if d.Effect == "read" && (d.Verdict == "" || d.Verdict == "allow") || len(s.Calls) >= maxListed {
		return
	}
	s.open[d.CallID] = len(s.Calls)
	s.Calls = append(s.Calls, SecurityCall{
		Sequence: e.Sequence, Conversation: d.Conversation, Name: d.Name, Effect: d.Effect, Summary: d.Summary,
		Verdict: d.Verdict, Rule: d.Rule, Why: d.Why, callID: d.CallID,
	})
	for i := range s.Read {
		if s.reaches(s.Read[i].Conversation, d.Conversation, s.Read[i].Sequence, e.Sequence) {
			s.Read[i].influence(e.Sequence)
		}
	}
}

func (r *ReadItem) influence(call int64) {
	if len(r.Influenced) < maxInfluenced {
		r.Influenced = append(r.Influenced, call)
		return
	}
	r.More++
}

// reaches reports whether what a conversation was given at one time can have had
// an influence on what another did at a later one.
func (s *Security) reaches(from, to string, since, until int64) bool {
	return s.follow(from, to, since, until, nil)
}

func (s *Security) follow(from, to string, since, until int64, seen []string) bool {
	if from == to || from == "" || to == "" {
		return true
	}
	role, _, _ := strings.Cut(from, "-") // reviewer-1 speaks as reviewer
	for _, j := range s.joined[role] {
		if j.from >= since && j.from < until && !slices.Contains(seen, j.to) && s.follow(j.to, to, j.from, until, append(seen, j.to)) {
			return true
		}
	}
	return false
}

func (s *Security) returned(e Event, d ToolResultData) {
	if i, ok := s.open[d.CallID]; ok && s.Calls[i].Name == d.Name {
		s.Calls[i].Status = d.Status
		delete(s.open, d.CallID)
	}
	was := s.pending[d.CallID]
	delete(s.pending, d.CallID)
	if d.Status == "timeout" {
		s.limit(e, "the time of "+was.item)
	}
	label := Label{Untrusted: true, Secrecy: Private}
	if d.Label != nil {
		label = *d.Label
	}
	if label.Untrusted && d.Status != "denied" {
		s.read(e, ReadItem{Conversation: was.conversation, Item: was.item, Label: label, callID: d.CallID})
	}
}

// reached notes a limit of the sandbox. The time-outs of calls are told by their
// results.
func (s *Security) reached(e Event, d LimitReachedData) {
	of := "the check " + d.Check
	if d.CallID != "" {
		of = s.pending[d.CallID].item
		if d.Limit == "time" {
			return
		}
	}
	what := strings.ReplaceAll(d.Limit, "_", " ")
	if d.Setting != "" {
		what += " (" + d.Setting + ")"
	}
	if d.Told {
		what += ", as its output says,"
	}
	s.limit(e, what+" of "+of)
}

func (s *Security) limit(e Event, what string) {
	if len(s.Limits) < maxListed {
		s.Limits = append(s.Limits, LimitReached{e.Sequence, what})
	}
}

// requested notes that a person is asked about a call; or about something that is no
// call. A record from before proposals named their call is of the first one of its name
// that has no result: calls that are made at once are asked about in their order.
func (s *Security) requested(e Event, d ApprovalRequestedData) {
	if d.Call != nil {
		i := slices.IndexFunc(s.Calls, func(c SecurityCall) bool {
			return c.Name == d.Call.Tool && !c.Asked && c.Status == "" && (d.Call.CallID == "" || d.Call.CallID == c.callID)
		})
		if i >= 0 {
			s.Calls[i].Asked = true
			s.asked[d.ApprovalID] = i
			return
		}
	}
	if len(s.Calls) < maxListed {
		s.asked[d.ApprovalID] = len(s.Calls)
		s.Calls = append(s.Calls, SecurityCall{Sequence: e.Sequence, Name: "approval", Summary: d.Effect, Asked: true})
	}
}

func (s *Security) decided(_ Event, d ApprovalDecidedData) {
	if i, ok := s.asked[d.ApprovalID]; ok {
		s.Calls[i].Approved, s.Calls[i].By, s.Calls[i].Reason = d.Approved, d.By, d.Reason
	}
}

// suspected notes an alarm. A suspicion marks what it is about: the result of a
// call that was read just before, or an item that conversations are given later.
func (s *Security) suspected(e Event, d SuspicionData) {
	if len(s.Alarms) < maxListed {
		s.Alarms = append(s.Alarms, Alarm{e.Sequence, e.Time, d.Severity, d.What, d.Detail, d.Blocked})
	}
	if d.What != "prompt_injection" {
		return
	}
	if i := len(s.Read) - 1; i >= 0 && s.Read[i].callID != "" && s.Read[i].callID == d.Target {
		s.Read[i].Suspicions = append(s.Read[i].Suspicions, d.Detail)
		return
	}
	s.marks[d.Target] = append(s.marks[d.Target], d.Detail)
}

func (s *Security) visited(_ Event, d NetworkUsedData) {
	for _, h := range d.Hosts {
		i := slices.IndexFunc(s.Hosts, func(u HostUse) bool {
			return u.Host == h.Host && u.Port == h.Port && u.Decision == h.Decision && u.Reason == h.Reason
		})
		switch {
		case i >= 0:
			s.Hosts[i].Times += h.Times
			s.Hosts[i].Sent += h.Sent
		case len(s.Hosts) < maxListed:
			s.Hosts = append(s.Hosts, HostUse{h.Host, h.Port, h.Decision, h.Reason, h.Times, h.Sent})
		}
	}
}

func (s *Security) failed(e Event, d TaskErrorData) {
	if d.Kind == KindBudget || d.Code == CodeTimedOut || strings.HasSuffix(d.Code, "_limit") {
		s.limit(e, d.Message)
	}
}

// obeyed are beginnings and ends of paths that machines of others run or obey once
// a branch gets to them.
var obeyed = struct{ under, names []string }{
	under: []string{".github/", ".gitlab/", ".circleci/", ".buildkite/", ".husky/", ".githooks/", ".mgx/", ".claude/", ".cursor/", ".vscode/", ".devcontainer/"},
	names: []string{
		".gitlab-ci.yml", "Jenkinsfile", "azure-pipelines.yml", ".travis.yml", "bitbucket-pipelines.yml", ".gitattributes", ".gitmodules",
		".woodpecker.yml", ".drone.yml", ".mcp.json", "AGENTS.md", "AGENTS.override.md", "CLAUDE.md", "GEMINI.md", ".cursorrules", ".windsurfrules",
		"CODEOWNERS", ".pre-commit-config.yaml", "lefthook.yml", ".envrc", "mise.toml", "flake.nix",
		"package.json", ".npmrc", ".yarnrc.yml", "setup.py", "conftest.py",
	},
}

func (s *Security) delivered(_ Event, d DeliveredData) {
	s.Foreign = nil
	for _, line := range d.Stat {
		path, _, _ := strings.Cut(line, " | ")
		base := path[strings.LastIndexByte(path, '/')+1:]
		if slices.Contains(obeyed.names, base) || slices.ContainsFunc(obeyed.under, func(p string) bool { return strings.HasPrefix(path, p) || strings.Contains(path, "/"+p) }) {
			s.Foreign = append(s.Foreign, path)
		}
	}
	if more := d.Files - len(d.Stat); more > 0 {
		s.Foreign = append(s.Foreign, fmt.Sprintf("(%d more files were changed and not looked at)", more))
	}
}
