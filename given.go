package mgx

import "time"

// What a person gives a run besides its task and its repository.

// Attachment is a file, directory or archive that a run was given. Its files are
// kept with the run; agents read them and cannot change them.
type Attachment struct {
	Name   string `json:"name"`   // of its directory among the attachments, unique in the run
	Digest string `json:"digest"` // sha256:… of names, modes and contents
	Files  int    `json:"files"`
	Size   int64  `json:"size"` // bytes of all files
}

// MCPServer is a server of tools outside of MGX, as the operator set it up. It
// holds no secret: where a value reads ${NAME}, a variable of the environment of
// whoever runs MGX is put in, at the moment it is used and nowhere else.
type MCPServer struct {
	Name    string            `json:"name"`
	Command string            `json:"command,omitempty"` // a program that runs in the run's sandbox, or
	Args    []string          `json:"args,omitempty"`
	Env     map[string]string `json:"env,omitempty"`
	Show    []string          `json:"show,omitempty"` // paths of the host that the program sees, read-only, besides what commands see
	URL     string            `json:"url,omitempty"`  // the address of a server that speaks streamable HTTP
	Headers map[string]string `json:"headers,omitempty"`
	Allow   []string          `json:"allow,omitempty"` // address ranges that may be called although they are not public, also over http

	Tools   []string          `json:"tools,omitempty"`   // that may be offered; empty: each that is pinned
	Effects map[string]string `json:"effects,omitempty"` // by tool, or * for the others; of those not named here: network
	Pins    map[string]string `json:"pins,omitempty"`    // by tool: sha256:… of how the operator has seen it described
	Timeout time.Duration     `json:"timeout_ns,omitempty"`
}
