package web

// moreText is what the pages say that show the whole workspace: approvals, usage,
// the audit log, executions.
func moreText() map[string]string {
	return map[string]string{
		"approvals.title": "Approvals", "approvals.lead": "What runs wait for, the longest first. Each decision counts for exactly what is shown.",
		"approvals.since": "waits since", "approvals.by": "asked for by %s",
		"approvals.empty": "Nothing waits for you", "approvals.empty.text": "A run that wants to do something which a person must allow, or has a question, appears here and stops until it is answered.",
	}
}
