package mgx

// LimitReachedData says that a command came to a limit of its sandbox: it was
// stopped, or refused what it asked for. No other run was touched by that.
type LimitReachedData struct {
	Limit    string `json:"limit"`                // memory, processes, cpu, file_size, open_files, disk, files, tmp, time, output
	Setting  string `json:"setting,omitempty"`    // what was allowed, as sandbox-limits takes it: open-files=8192; absent where that does not set it
	Quota    Quota  `json:"quota,omitempty"`      // of the workspace, that set it lower; absent: the operator did
	Told     bool   `json:"told,omitempty"`       // only the command's own output says so, and could have made it up
	CallID   string `json:"call_id,omitempty"`    // of the tool call that ran it
	Check    string `json:"check,omitempty"`      // or the check that it was
	ExitCode *int   `json:"exit_code,omitempty"`  // absent: it was stopped when its time was over
	Sandbox  string `json:"sandbox_id,omitempty"` // which one
}
