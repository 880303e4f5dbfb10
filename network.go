package mgx

// NetworkUsedData says what one command asked of the gate of its sandbox, which
// lets it reach the hosts that the run was allowed.
type NetworkUsedData struct {
	CallID string       `json:"call_id,omitempty"` // of the tool call that ran it
	Check  string       `json:"check,omitempty"`   // or the check that it was
	Hosts  []NetworkUse `json:"hosts"`             // at most 66, in the order of first use
}

// NetworkUse is what was decided on one destination, any number of times.
type NetworkUse struct {
	Host     string `json:"host"` // empty: many, told together; quoted: what is no host
	Port     int    `json:"port,omitempty"`
	Decision string `json:"decision"`         // allowed, refused
	By       string `json:"by,omitempty"`     // what allowed it: list, policy, or the id of an approval
	Reason   string `json:"reason,omitempty"` // why it was refused, or failed although it was allowed
	Times    int    `json:"times"`
	Sent     int64  `json:"sent_bytes"` // out of the sandbox
	Received int64  `json:"received_bytes"`
}
