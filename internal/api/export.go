package api

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"hash"
	"net/http"
	"time"
)

// typeLines is the media type of JSON lines.
const typeLines = "application/jsonl"

// exported is an answer that is a file of whatever length.
type exported struct {
	w     http.ResponseWriter
	name  string
	sum   hash.Hash // of the lines so far
	lines int64
}

// newExport begins the answer when the first piece is written, so that what fails
// before is a problem.
func newExport(w http.ResponseWriter, name string) *exported {
	return &exported{w: w, name: name, sum: sha256.New()}
}

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
	if e.lines == 0 {
		e.is(typeLines, "jsonl")
	}
	b, err := json.Marshal(struct {
		Kind   string `json:"kind"`
		Record any    `json:"record"`
	}{kind, record})
	if err == nil {
		b = append(b, '\n')
		e.lines++
		e.sum.Write(b)
		_, err = e.Write(b)
	}
	return err
}

// exportEnd is the last line of an export: who has it has all lines before it.
type exportEnd struct {
	Lines  int64  `json:"lines"`
	SHA256 string `json:"sha256"`
}

// finish ends the answer with how many lines there were and their digest. Of what
// failed half-way nothing is sent.
func (e *exported) finish(err error) error {
	if err != nil {
		return err
	}
	return e.line("end", exportEnd{e.lines, hex.EncodeToString(e.sum.Sum(nil))})
}
