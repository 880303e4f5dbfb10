package llm

import (
	"log/slog"

	"mgx"
)

// What an honest provider may count beyond what it was asked for. Servers and
// proxies put texts of their own before a prompt; some models' thinking is not
// held to MaxTokens, and none thinks longer than this.
const (
	unseenPrompt = 1 << 16
	unseenAnswer = 1 << 17
)

// believe takes back the usage that an attempt reported when that cannot be: it
// counts as none reported. A provider out of its mind, or somebody between it and
// us, would else use up every budget in one call. What merely is more than was
// reserved may be true, and is booked as reported.
func (y *try) believe(s *seen) {
	told := mgx.Usage{}
	if r := s.response; r != nil && r.UsageOK && impossible(y.req, r.Usage) {
		told, r.Usage, r.UsageOK = r.Usage, mgx.Usage{}, false
	}
	if impossible(y.req, s.usage) || told != (mgx.Usage{}) {
		if told == (mgx.Usage{}) {
			told = s.usage
		}
		s.usage = mgx.Usage{}
		y.log().Error("a provider reported a usage that cannot be; the most that the call can have used counts instead",
			"prompt", told.Prompt, "completion", told.Completion, "prompt_bound", y.promptBound, "max_tokens", y.req.MaxTokens)
	}
}

// impossible reports whether a request cannot have used so much. Four times the
// bound on its prompt leaves room for any form that a server may bring it into.
func impossible(req *Request, u mgx.Usage) bool {
	return u.Prompt-unseenPrompt > 4*PromptBound(req) || u.Completion-unseenAnswer > int64(req.MaxTokens)
}

// compare tells when an attempt cost more than was set aside for it: then a budget
// may have been passed, and the operator should know by whom.
func (y *try) compare(cost mgx.Money, used mgx.Usage) {
	if reserved := y.most(y.promptBound, int64(y.req.MaxTokens)); cost > reserved {
		y.log().Error("a model call cost more than its reservation", "cost", cost.String(), "reserved", reserved.String(),
			"prompt", used.Prompt, "completion", used.Completion, "prompt_bound", y.promptBound, "max_tokens", y.req.MaxTokens)
	}
}

func (y *try) log() *slog.Logger {
	return y.router.Log.With("provider", y.target.provider.Name(), "model", y.target.model,
		"workspace_id", string(y.req.Workspace), "role", y.req.AgentRole)
}
