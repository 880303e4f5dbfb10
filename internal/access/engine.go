package access

import (
	_ "embed"
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/cedar-policy/cedar-go"

	"mgx"
	"mgx/internal/guard"
)

//go:embed builtin.cedar
var builtinPolicies string

//go:embed tenant.cedar
var tenantPolicies string

// Resource is what is acted on: one thing of a kind, or with no id the kind.
type Resource struct {
	Kind      string // one of mgx.Resources
	ID        string
	Workspace mgx.WorkspaceID // whose it is
	User      mgx.UserID      // whose own it is, where it is somebody's
}

// Engine decides by policies. It is safe for use by many goroutines.
type Engine struct {
	builtin func() (*cedar.PolicySet, error)

	mu      sync.Mutex
	known   map[string]*cedar.PolicySet // by text
	decided map[question]bool           // lately
}

// question is all that a decision hangs on besides scopes, so that it is decided the same
// way whenever it is asked.
type question struct {
	set *cedar.PolicySet

	action, role, address string

	user      mgx.UserID
	workspace mgx.WorkspaceID
	key       bool
	on        Resource
}

// NewEngine returns an engine, which reads its policies when it first decides.
func NewEngine() *Engine {
	return &Engine{
		builtin: sync.OnceValues(func() (*cedar.PolicySet, error) { return parse(builtinPolicies) }),
		known:   map[string]*cedar.PolicySet{},
		decided: map[question]bool{},
	}
}

// Bounds of a role's policies.
const (
	maxPolicy   = 16 << 10 // bytes
	maxPolicies = 100
	maxSets     = 1000 // that are kept
	maxDecided  = 1000 // decisions that are kept
	longestWhy  = 100  // characters of what is wrong with one
	longestID   = 100  // of those, bytes of what they are about
)

// CheckPolicy refuses what is no set of policies of a role.
func CheckPolicy(text string) error {
	if len(text) > maxPolicy {
		return mgx.Errorf(mgx.KindUsage, "bad_policy", "the policies of a role have at most %d bytes", maxPolicy)
	}
	alone, err := cedar.NewPolicySetFromBytes("policy", []byte(text))
	if err != nil {
		return mgx.Errorf(mgx.KindUsage, "bad_policy", "the policies cannot be read%s", broken(err))
	}
	n := 0
	for range alone.All() {
		n++
	}
	if n == 0 || n > maxPolicies {
		return mgx.Errorf(mgx.KindUsage, "bad_policy", "a role has 1 to %d policies, not %d", maxPolicies, n)
	}
	return nil
}

// stopped finds where Cedar's parser says that it stopped, and why.
var stopped = regexp.MustCompile(`<input>:(\d+):(\d+)(?: "(?:[^"\\]|\\.)*")?: (.*)$`)

// broken goes on with a sentence about policies that cannot be read: where, what to do
// and, in brackets and without what a terminal acts on, what their parser says.
func broken(err error) string {
	if errors.Is(err, strconv.ErrRange) { // the one of which it does not say the place
		return ": a number in them has more digits than there is room for; whole numbers go from -9223372036854775808 to 9223372036854775807"
	}
	const mend = "mend what is there, or right before it; docs/access.md shows how policies read"
	at := stopped.FindStringSubmatch(err.Error())
	if at == nil {
		return "; docs/access.md shows how policies read"
	}
	line, column, why := at[1], at[2], guard.Visible(at[3])
	if _, missing, is := strings.Cut(why, " want "); is {
		why = "there should be " + missing
	}
	if all := []rune(why); len(all) > longestWhy {
		why = string(all[:longestWhy]) + "…"
	}
	return " from line " + line + ", column " + column + ", on: " + mend + " (" + why + ")"
}

// parse reads policies of a role and puts what holds for all in front.
func parse(text string) (*cedar.PolicySet, error) {
	set, err := cedar.NewPolicySetFromBytes("policies", []byte(tenantPolicies+"\n"+text))
	if err != nil {
		if own := CheckPolicy(text); own != nil { // which says the place in what somebody wrote
			err = own
		}
		return nil, mgx.Errorf(mgx.KindConfig, "bad_policy", "this role permits nothing, until it is changed: %w", err)
	}
	return set, nil
}

// Decide reports whether an actor may do something. Policy is that of a role
// which a workspace made; empty: the actor's role is built in. An error of kind
// refused or config says why not; nobody else decides otherwise.
func (e *Engine) Decide(a Actor, policy, action string, on Resource) error {
	if !slices.Contains(mgx.Actions, action) || !slices.Contains(mgx.Resources, on.Kind) || on.Workspace == "" {
		return mgx.Errorf(mgx.KindInternal, "bad_request", "nobody has said who may %s %s of workspace %q", action, on.Kind, on.Workspace)
	}
	if a.Scopes != nil && !mgx.InScope(a.Scopes, on.Kind, action) {
		return mgx.Errorf(mgx.KindRefused, CodeOutOfScope, "this key may not %s %s: its scopes are %s", action, on.Kind, strings.Join(a.Scopes, ", "))
	}
	set, err := e.policies(policy)
	if err != nil {
		return err
	}
	if !e.allows(question{set, action, a.Role, a.Where.Address, a.User, a.Workspace, a.Key != nil, on}, a) {
		if on.Workspace == mgx.DefaultWorkspace && a.Workspace != "" && a.Workspace != on.Workspace {
			return mgx.Errorf(mgx.KindRefused, CodeForbidden, "you may not %s %s of the installation: that is for members of %s, the workspace of those who run it", action, on.Kind, on.Workspace)
		}
		return mgx.Errorf(mgx.KindRefused, CodeForbidden, "you may not %s %s here: your role is %s", action, on.Kind, roleName(a.Role))
	}
	return nil
}

// allows decides, or says what it decided. A request asks the same several times.
func (e *Engine) allows(q question, a Actor) bool {
	e.mu.Lock()
	allowed, known := e.decided[q]
	e.mu.Unlock()
	if known {
		return allowed
	}
	decision, _ := cedar.Authorize(q.set, entities(a, q.on), request(a, q.action, q.on))
	if len(q.on.ID) <= longestID {
		e.mu.Lock()
		defer e.mu.Unlock()
		if len(e.decided) >= maxDecided {
			clear(e.decided)
		}
		e.decided[q] = decision == cedar.Allow
	}
	return decision == cedar.Allow
}

// Codes of decisions.
const (
	CodeForbidden  = "forbidden"
	CodeOutOfScope = "out_of_scope"
)

func roleName(role string) string {
	if role == "" {
		return "none"
	}
	return role
}

func (e *Engine) policies(text string) (*cedar.PolicySet, error) {
	if text == "" {
		return e.builtin()
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if set := e.known[text]; set != nil {
		return set, nil
	}
	set, err := parse(text)
	if err != nil {
		return nil, err
	}
	if len(e.known) >= maxSets {
		clear(e.known)
	}
	e.known[text] = set
	return set, nil
}

func request(a Actor, action string, on Resource) cedar.Request {
	return cedar.Request{Principal: principal(a), Action: cedar.NewEntityUID("Action", cedar.String(action)), Resource: object(on), Context: cedar.NewRecord(cedar.RecordMap{
		"key": cedar.Boolean(a.Key != nil), "address": cedar.String(a.Where.Address),
	})}
}

func principal(a Actor) cedar.EntityUID { return cedar.NewEntityUID("User", cedar.String(a.User)) }

func object(on Resource) cedar.EntityUID {
	return cedar.NewEntityUID(cedar.EntityType(strings.ToUpper(on.Kind[:1])+on.Kind[1:]), cedar.String(on.ID))
}

func entities(a Actor, on Resource) cedar.EntityMap {
	who, what := principal(a), object(on)
	return cedar.EntityMap{
		who: {
			UID: who, Parents: cedar.NewEntityUIDSet(cedar.NewEntityUID("Role", cedar.String(a.Role))),
			Attributes: cedar.NewRecord(cedar.RecordMap{"user": cedar.String(a.User), "role": cedar.String(a.Role), "workspace": cedar.String(a.Workspace)}),
		},
		what: {
			UID: what,
			Attributes: cedar.NewRecord(cedar.RecordMap{
				"kind": cedar.String(on.Kind), "id": cedar.String(on.ID), "workspace": cedar.String(on.Workspace), "user": cedar.String(on.User),
			}),
		},
	}
}

// BuiltIn are the roles that every workspace has; builtin.cedar says what they may do.
func BuiltIn() []mgx.Role {
	about := map[string]string{
		mgx.RoleAdmin: "Everything", mgx.RoleDeveloper: "Works: tasks, runs, models; sees projects; has keys; sees budgets and members",
		mgx.RoleAuditor: "Sees everything but secrets, the audit log too; changes nothing", mgx.RoleViewer: "Sees the work",
	}
	roles := make([]mgx.Role, len(mgx.BuiltInRoles))
	for i, name := range mgx.BuiltInRoles {
		roles[i] = mgx.Role{Name: name, Description: about[name], BuiltIn: true}
	}
	return roles
}
