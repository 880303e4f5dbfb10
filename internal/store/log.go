package store

import (
	"maps"

	"mgx"
)

// log is what the writer remembers of the log between transactions, so that it
// need not read it again for each event. It is only used while the database's
// data version says that nobody else has written, and thrown away otherwise.
type log struct {
	version  int64 // the data version it was read at
	position int64 // of the last event; -1: not read yet
	heads    map[mgx.StreamID]head
	known    map[mgx.EventID]*mgx.Event // ids that are stored, with the events of this transaction
	fresh    []mgx.Event                // of this transaction, not sent yet

	unsaved []mgx.StreamID // runs that this transaction may have moved, or added bytes to

	savedPosition int64
	savedFresh    int
	saved         map[mgx.StreamID]head // heads as they were before the running change
}

// head is where a stream stands. Folding replaces values and never writes
// through them, so keeping a copy is keeping the old state.
type head struct {
	sequence  int64
	workspace mgx.WorkspaceID
	run       *mgx.Run // of run streams that have begun
	unsaved   bool     // run is newer than its row
	added     int64    // bytes that the run keeps besides those that its row counts
}

func newLog() *log {
	l := &log{saved: map[mgx.StreamID]head{}}
	l.forget()
	return l
}

func (l *log) forget() {
	l.position, l.heads = -1, map[mgx.StreamID]head{}
	l.unsaved = nil
	clear(l.saved)
}

// valid forgets everything if version is not the one it was read at. It is
// called between transactions only, when no head is unsaved.
func (l *log) valid(version int64) {
	if version != l.version || len(l.heads) > headsKept {
		l.forget()
	}
	l.version = version
}

func (l *log) mark() {
	clear(l.saved)
	l.savedPosition, l.savedFresh = l.position, len(l.fresh)
}

func (l *log) undo() {
	maps.Copy(l.heads, l.saved)
	l.position = l.savedPosition
	for _, e := range l.fresh[l.savedFresh:] {
		delete(l.known, e.ID)
	}
	l.fresh = l.fresh[:l.savedFresh]
}

// set replaces a head, keeping the one the running change found.
func (l *log) set(id mgx.StreamID, h head) {
	if _, kept := l.saved[id]; !kept {
		l.saved[id] = l.heads[id]
	}
	if was := l.heads[id]; h.unsaved && !was.unsaved || h.added != 0 && was.added == 0 {
		l.unsaved = append(l.unsaved, id)
	}
	l.heads[id] = h
}
