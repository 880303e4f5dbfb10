package store

import (
	"fmt"
	"strings"
	"testing"

	"mgx"
)

func TestDecodedRuns(t *testing.T) {
	t.Parallel()
	var d decodedRuns
	state := func(id string, phase string) string {
		return fmt.Sprintf(`{"id":%q,"phase":%q,"further_approvals":[{"id":"appr_1"}]}`, id, phase)
	}
	read := func(state, phase string) *mgx.Run {
		t.Helper()
		r, err := d.run(state)
		if err != nil || r.Phase != phase {
			t.Fatalf("%.100s is read as %+v, %v", state, r, err)
		}
		return r
	}
	first := read(state("run_1", "plan"), "plan")
	if read(state("run_1", "plan"), "plan") != first {
		t.Error("what was read is not remembered")
	}
	read(state("run_1", "work"), "work")
	if _, err := d.run(`{"id":`); !mgx.IsCode(err, "bad_row") {
		t.Errorf("broken JSON: %v", err)
	}
	long := strings.Repeat("x", maxDecoded/10)
	for i := range 100 {
		read(state("run_1", "plan"), "plan") // is read again and again, and stays
		read(state(fmt.Sprint("run_", i), long), long)
		size := 0
		for text := range d.latest {
			size += len(text)
		}
		if size != d.size || size > maxDecoded || len(d.before) > 20 {
			t.Fatalf("%d bytes are kept, and %d are counted, beside %d from before", size, d.size, len(d.before))
		}
	}
	if read(state("run_1", "plan"), "plan") != first {
		t.Error("what is read again and again was forgotten")
	}
}
