package event

import (
	"testing"

	"mgx"
)

// What says that words are erased has those before it go from memory, also when it
// comes with them.
func TestErasedWordsLeaveMemory(t *testing.T) {
	t.Parallel()
	record := func(position int64, typ mgx.EventType, data string) *Record {
		return &Record{Event: mgx.Event{Position: position, Type: typ, Data: []byte(data)}}
	}
	for name, e := range map[string]*Record{
		"a task":   record(3, mgx.DataErased, `{"subject":"task_1"}`),
		"a person": record(3, mgx.AuditRecorded, `{"action":"user.erase","resource":"user_1"}`),
	} {
		r := &recent{maxEvents: 10, maxBytes: 1 << 20}
		r.add([]*Record{record(1, mgx.RunNoted, `{"word":1}`), record(2, mgx.AuditRecorded, `{"action":"key.create"}`)})
		if got, ok := r.after(0, 10); !ok || len(got) != 2 {
			t.Fatalf("%s: at first %d %v", name, len(got), ok)
		}
		r.add([]*Record{e, record(4, mgx.RunNoted, `{}`)})
		if _, ok := r.after(0, 10); ok {
			t.Errorf("%s: what was erased is in memory still", name)
		}
		if got, ok := r.after(2, 10); !ok || len(got) != 2 || got[0] != e {
			t.Errorf("%s: what came after is not: %d %v", name, len(got), ok)
		}
	}
}
