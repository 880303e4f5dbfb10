package team

import (
	"fmt"
	"slices"

	"mgx"
	"mgx/internal/sandbox"
	"mgx/internal/sandbox/egress"
	"mgx/internal/tool"
	"mgx/internal/workflow"
)

// What commands reach: the hosts of the run, and for one command those that were
// allowed to it when it was decided on.

// byList and byPolicy say what allowed a host, where no approval did.
const (
	byList   = "list"
	byPolicy = "policy"
)

// hosts are those that all commands of the run reach.
func (r *run) hosts() *egress.List {
	list, err := egress.NewList(r.in.Settings.AllowHosts...)
	if err != nil {
		return new(egress.List) // no box opens with such a list
	}
	return list
}

// noGate says why a call may reach no hosts here beyond the run's, whoever allows it.
func (r *run) noGate(beyond []string) string {
	if level := r.site.Box.Level(); len(beyond) > 0 && !level.AtLeast(sandbox.LevelBasic) {
		return fmt.Sprintf("a command can reach hosts only in a sandbox of level basic or full, and this run has level %s", level)
	}
	return ""
}

// openGate gives one command a gate to the hosts that were allowed to it, besides the
// run's.
func (r *run) openGate(p permit, ws *tool.Workspace) error {
	if len(p.facts.Hosts) == 0 || p.facts.Command == "" {
		return nil
	}
	var err error
	ws.Gate, ws.GateMounts, err = r.site.Gate(slices.Concat(r.in.Settings.AllowHosts, p.facts.Hosts))
	return err
}

// emitNetwork tells what a command asked of the gate of its box, if anything. The
// hosts that are not the run's were allowed by what is named.
func (r *run) emitNetwork(s *workflow.StepContext, d mgx.NetworkUsedData, visits []sandbox.Visit, by string) {
	if len(visits) == 0 {
		return
	}
	list := r.hosts()
	for _, v := range visits {
		use := mgx.NetworkUse{Host: v.Host, Port: v.Port, Decision: "refused", Reason: v.Reason, Times: v.Times, Sent: v.Sent, Received: v.Received}
		if v.Allowed {
			use.Decision, use.By = "allowed", by
			if list.Has(v.Host, v.Port) {
				use.By = byList
			}
		}
		d.Hosts = append(d.Hosts, use)
	}
	s.Emit(s.Scope().Event(mgx.RunNetworkUsed, d))
}
