package api

import (
	"encoding/json"
	"net/http"
	"time"
)

// typeLines is the media type of JSON lines.
const typeLines = "application/jsonl"

// exported is an answer that is a file of whatever length. It may take as long as
// its reader does, but each piece only so long.
type exported struct {
	w     http.ResponseWriter
	name  string
	begun bool
}

// newExport begins the answer when the first piece is written, so that what fails
// before is a problem.
func newExport(w http.ResponseWriter, name string) *exported { return &exported{w: w, name: name} }

// is says what the file is of.
func (e *exported) is(kind, ending string) {
	e.w.Header().Set("Content-Type", kind)
	e.w.Header().Set("Content-Disposition", `attachment; filename="`+e.name+`.`+ending+`"`)
}

func (e *exported) Write(b []byte) (int, error) {
	http.NewResponseController(e.w).SetWriteDeadline(time.Now().Add(answerWait))
	return e.w.Write(b)
}

// line writes a record of a kind as one line.
func (e *exported) line(kind string, record any) error {
	if !e.begun {
		e.is(typeLines, "jsonl")
		e.begun = true
	}
	b, err := json.Marshal(struct {
		Kind   string `json:"kind"`
		Record any    `json:"record"`
	}{kind, record})
	if err == nil {
		_, err = e.Write(append(b, '\n'))
	}
	return err
}
