package store

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"

	"mgx"
)

// drain reads a backup to its end and returns what was in it.
func drain(file []byte) (rows [][]any, files map[string]string, err error) {
	r, err := newBackupReader(bytes.NewReader(file))
	if err != nil {
		return nil, nil, err
	}
	columns := map[string]int{}
	for _, t := range r.Tables {
		columns[t.Name] = len(t.Columns)
	}
	files = map[string]string{}
	for {
		m, err := r.section()
		switch {
		case err != nil, m.End:
			return rows, files, err
		case m.Table != "":
			r.Rows[m.Table] = 0
			for {
				row, more, err := r.row(m.Table, columns[m.Table])
				if err != nil {
					return nil, nil, err
				}
				if !more {
					break
				}
				rows = append(rows, row)
			}
		case m.File != "":
			r.Files++
			content, err := io.ReadAll(&pieces{r: r})
			if err != nil {
				return nil, nil, err
			}
			files[m.File] = string(content)
		default:
			return nil, nil, damaged(fmt.Errorf("a line begins nothing"))
		}
	}
}

func TestFormatKeepsEveryValue(t *testing.T) {
	t.Parallel()
	var file bytes.Buffer
	w, err := newBackupWriter(&file, Manifest{Format: 1, Schema: 1, CreatedAt: time.Unix(0, 0).UTC(), Tables: []BackupTable{{"t", []string{"a", "b"}}}})
	if err != nil {
		t.Fatal(err)
	}
	want := [][]any{
		{nil, int64(-1 << 63)},
		{int64(1<<63 - 1), "text \u2028 <&> \x00"},
		{"\xff\xfe", []byte("\xff\x00")},
		{"", []byte{}},
		{1.5, true},
		{`{"text":"eA=="}`, strings.Repeat("ü", 300_000)},
	}
	w.begin("t")
	for _, row := range want {
		if err := w.row(append([]any{}, row...)); err != nil {
			t.Fatal(err)
		}
	}
	large := strings.Repeat("\x00\xffabc", 100_000)
	for name, content := range map[string]string{"a/empty": "", "a/large": large} {
		if err := w.file(name, 0o600, strings.NewReader(content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.close(); err != nil {
		t.Fatal(err)
	}
	rows, files, err := drain(file.Bytes())
	if err != nil || !reflect.DeepEqual(rows, want) || !reflect.DeepEqual(files, map[string]string{"a/empty": "", "a/large": large}) {
		t.Errorf("read %d rows, %d files, %v", len(rows), len(files), err)
	}
}

// What is read to its end was written: no lines but those of a backup, with its
// footer, are accepted, and whatever comes, reading ends with a clear error.
func FuzzReadBackup(f *testing.F) {
	const lines = `{"mgx_backup":1,"schema":3,"epoch":"e","created_at":"2026-01-01T00:00:00Z","tables":[{"name":"t","columns":["a","b"]}]}
{"table":"t"}
["a",{"text":"/w=="}]
[null,1.5]
{"file":"a/b","mode":511}
"eA=="
{"end":true,"rows":{"t":2},"files":1,"sha256":"a0"}
`
	f.Add(lines)
	f.Add(strings.ReplaceAll(lines, "t", "u"))
	f.Fuzz(func(t *testing.T, text string) {
		var file bytes.Buffer
		zip := gzip.NewWriter(&file)
		zip.Write([]byte(text))
		zip.Close()
		_, _, err := drain(file.Bytes())
		if err == nil && !strings.Contains(text, `"sha256"`) {
			t.Error("it has no digest")
		}
		if err != nil && mgx.AsError(err).Kind != mgx.KindConfig {
			t.Error(err)
		}
		if _, _, err := drain([]byte(text)); err == nil {
			t.Error("it is not compressed")
		}
	})
}
