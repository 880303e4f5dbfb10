package sandboxtest

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"mgx/internal/sandbox"
)

// Outcome is what came of an attack.
type Outcome string

const (
	Stopped   Outcome = "stopped"   // it was refused
	Contained Outcome = "contained" // it works, and reaches nothing that is not the box's
	Open      Outcome = "open"      // it works at this level, for a reason that is known
	Absent    Outcome = "absent"    // this machine has nothing to attack
	Held      Outcome = "held"      // a test of its own passed
	Untried   Outcome = "not tried" // for a reason that is known
	Lacking   Outcome = "stopped, and this kernel lacks it"
	Missing   Outcome = "stopped, and this machine has none"
	Fell      Outcome = "FELL"   // it worked, and should not have
	Broken    Outcome = "BROKEN" // it could not be made
)

// Score is the outcome of one case.
type Score struct {
	Name    string
	Outcome Outcome
	Detail  string `json:",omitempty"` // what refused it, or why it is open

	aim []string
}

// known is a case that gets through at a level, and why.
type known struct {
	outcome Outcome
	why     string
	harmful bool // so it is not made
}

// reachable is a socket file that MGX does not find.
var reachable = known{Open, "a program outside that listens in what a box shows, and moved its socket file, named it from elsewhere, or began after the command, can be connected to", false}

// knownAt lists them by level. Without Landlock's versions or seccomp a box of
// level basic lets more through than is listed: the table is of full and lite.
var knownAt = map[sandbox.Level]map[string]known{
	sandbox.LevelFull:  {"socket file under another name": reachable},
	sandbox.LevelBasic: {"socket file under another name": reachable},
	sandbox.LevelLite: {
		"change /dev/null":                 {Open, "Landlock does not guard modes: a command can change those of what its user owns, and can read nothing by that", true},
		"change a program":                 {Open, "as /dev/null", true},
		"mode of the host's file":          {Open, "as /dev/null, and others of the machine can read what it opens to them; with a read-only workspace, as in plan mode, it changes no modes at all", false},
		"owner of the host's file":         {Open, "as the mode: to groups that its user is in", false},
		"times of the host's file":         {Open, "as the mode", false},
		"whether the host's file is there": {Open, "Landlock does not guard what stat tells of a name: whether there is a file, its size, mode and times", false},
		"enter the host's directory":       {Open, "it sees neither names nor content there", false},
		"keys":                             {Contained, "the list of its user's keys, without their content; keyctl is refused", false},
		"kernel pages":                     {Contained, "flags of memory pages, for root only", false},
		"setuid":                           {Contained, "to the same user, when that is root: without capabilities", false},
		"setgroups":                        {Contained, "as setuid", false},
		"nosuid and nodev":                 {Contained, "there are no mounts of its own; no_new_privs takes the meaning from setuid, and Landlock devices", false},
	},
	sandbox.LevelDocker: {
		"socket file under another name": reachable,
		"watches of its user":            {Open, "the user of a container is one of the machine's, for whom the kernel counts it, and engines set no limit for that", false},

		"change /dev/null": {Contained, "the container has devices of its own, which end with it", false},
		"what is in /dev":  {Contained, "terminals and message queues of the container's own", false},
		"kernel pages":     {Contained, "flags of memory pages, for root only", false},
		"setuid":           {Contained, "to the same user, when that is root: without capabilities", false},
		"setgroups":        {Contained, "as setuid", false},
		"nosuid and nodev": {Contained, "the engine's mounts have neither; no_new_privs takes the meaning from setuid, and nobody inside can make a device", false},
	},
	sandbox.LevelGVisor: {
		"socket file in the workspace":             {Open, "the sentry connects to every socket file that it shows, because it must to one of MGX's own, and its helper mounts nothing over one", false},
		"socket file in a directory that is shown": {Open, "as in the workspace", false},
		"socket file in a cache":                   {Open, "as in the workspace", false},
		"socket file under another name":           {Open, "as in the workspace", false},
		"datagram to a socket file that is shown":  {Open, "as in the workspace", false},

		"watches of its user": {Contained, "the sentry's own, which the machine's kernel counts for nobody", false},
		"timers of its user":  {Contained, "as watches", false},

		"what is in /dev":  {Contained, "the sentry's own devices, terminals among them", false},
		"signal init":      {Contained, "a command can end its own sandbox by that, and no other", false},
		"nosuid and nodev": {Contained, "the sentry does not tell how things are mounted; nobody inside can become another user or make a device", false},
	},
}

// knownOf is knownAt with what depends on the kernel.
func knownOf(level sandbox.Level) map[string]known {
	k := maps.Clone(knownAt[level])
	if level == sandbox.LevelLite && landlockVersion() < 6 {
		k["signal init"] = known{Open, "before Linux 6.12 Landlock does not guard signals", false}
		k["signal the host"] = known{Open, "as signal init", true} // it would end the host's process
	}
	if level == sandbox.LevelLite && os.Geteuid() != 0 {
		k["capabilities"] = known{Contained, "an ordinary user has none, and cannot empty the set of those that it might gain; no_new_privs lets nobody gain one", false}
	}
	return k
}

// provenBy is what a refusal shows: nothing of a wall where the kernel has no such
// call for anybody, or nothing to make it on, or the machine no such file.
func provenBy(name string, args []string, refusal string) Outcome {
	call, isCall := strings.CutPrefix(name, "call ")
	at := slices.IndexFunc(args, filepath.IsAbs)
	switch {
	case call == "huge pages" && hugePages() == 0:
		return Missing
	case isCall && absentHere(call, refusal), lackedCall(name):
		return Lacking
	case at > 0 && slices.Contains([]string{"openread", "openwrite", "dial"}, args[0]) && !strings.HasPrefix(args[at], "/proc/1/"):
		if _, err := os.Lstat(args[at]); errors.Is(err, fs.ErrNotExist) {
			return Missing
		}
	}
	return Stopped
}

// hugePages is how many the machine keeps.
func hugePages() int {
	text, _ := os.ReadFile("/proc/sys/vm/nr_hugepages")
	n, _ := strconv.Atoi(strings.TrimSpace(string(text)))
	return n
}

// score makes every attack in one box.
func (h *host) score(t *testing.T) (scores []Score) {
	t.Helper()
	cases := slices.Concat(attackCases, gateCases, callCases())
	expected := knownOf(h.box.Level())
	var aims [][]string
	for _, c := range cases {
		args := c.args(h)
		if expected[c.name].harmful {
			args = nil
		}
		aims = append(aims, args)
	}
	results := h.attack(t, aims...)
	for i, c := range cases {
		s := Score{Name: c.name, Outcome: Stopped, aim: aims[i]}
		detail, stopped := strings.CutPrefix(results[i], held)
		k, isKnown := expected[c.name]
		switch {
		case aims[i] == nil && isKnown && k.harmful:
			s.Outcome, s.Detail = k.outcome, k.why
		case aims[i] == nil:
			s.Outcome = Absent
		case stopped:
			s.Outcome, s.Detail = provenBy(c.name, aims[i], detail), detail
		case results[i] != fell:
			s.Outcome, s.Detail = Broken, results[i]
		case isKnown:
			s.Outcome, s.Detail = k.outcome, k.why
		default:
			s.Outcome = Fell
		}
		scores = append(scores, s)
	}
	return scores
}
