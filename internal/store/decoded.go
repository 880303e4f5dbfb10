package store

import (
	"encoding/json"
	"sync"

	"mgx"
)

// decodedRuns remembers what states of runs say, by their text: lists are read again
// and again, and most of what that takes is reading the JSON of the same runs. Runs
// that it gives share what they point at, which nobody changes; see [mgx.Run.Apply].
// The zero value remembers none.
type decodedRuns struct {
	mu     sync.Mutex
	latest map[string]*mgx.Run
	size   int                 // bytes of text in latest
	before map[string]*mgx.Run // latest, when it was full
}

// maxDecoded bounds the text of the states in latest, and so of those in before.
const maxDecoded = 2 << 20 // bytes

func (d *decodedRuns) run(state string) (*mgx.Run, error) {
	if r := d.find(state); r != nil {
		return r, nil
	}
	r := new(mgx.Run)
	if err := json.Unmarshal([]byte(state), r); err != nil {
		return nil, badRow("run", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.keep(state, r)
	return r, nil
}

// find also keeps what it finds for longer.
func (d *decodedRuns) find(state string) *mgx.Run {
	d.mu.Lock()
	defer d.mu.Unlock()
	r := d.latest[state]
	if r == nil {
		if r = d.before[state]; r != nil {
			d.keep(state, r)
		}
	}
	return r
}

// keep remembers a run, and forgets the oldest; d.mu is held.
func (d *decodedRuns) keep(state string, r *mgx.Run) {
	if d.latest == nil || d.size+len(state) > maxDecoded {
		d.before, d.latest, d.size = d.latest, map[string]*mgx.Run{}, 0
	}
	if d.latest[state] == nil {
		d.size += len(state)
	}
	d.latest[state] = r
}
