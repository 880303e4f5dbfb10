package team

import (
	"mgx"
	"mgx/internal/sandbox"
	"mgx/internal/workflow"
)

// emitNetwork tells what a command asked of the gate of its box, if anything.
func emitNetwork(s *workflow.StepContext, d mgx.NetworkUsedData, visits []sandbox.Visit) {
	if len(visits) == 0 {
		return
	}
	for _, v := range visits {
		decision := "refused"
		if v.Allowed {
			decision = "allowed"
		}
		d.Hosts = append(d.Hosts, mgx.NetworkUse{
			Host: v.Host, Port: v.Port, Decision: decision, Reason: v.Reason, Times: v.Times, Sent: v.Sent, Received: v.Received,
		})
	}
	s.Emit(s.Scope().Event(mgx.RunNetworkUsed, d))
}
