package store

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"strings"
	"time"
	"unicode/utf8"

	"mgx"
)

// A backup is a gzip stream of lines of JSON, each of which says by its first
// character what it is:
//
//	{"mgx_backup":1,"schema":2,"epoch":"…","created_at":"…","tables":[{"name":"events","columns":[…]}]}
//	{"table":"events"}                       what follows are rows of this table
//	[1,"evt_…",…]                            one row, in the order of its columns
//	{"file":"runs/run_…/git/HEAD","mode":384} what follows are pieces of this file
//	"cmVmOiByZWZ…"                           a piece, in base64
//	{"end":true,"rows":{"events":1},"files":1,"sha256":"…"}
//
// A value of a row is null, a number or a string; text that is not UTF-8 is
// {"text":"base64"} and binary data {"blob":"base64"}. The digest is of all
// bytes before the last line. Nothing follows it.
const backupFormat = 1

const (
	maxBackupLine  = 256 << 20 // bytes: the largest row
	backupPiece    = 192 << 10 // bytes of a file in one line
	maxBackupName  = 1024
	maxBackupTable = 256 // tables, and columns of one
)

// Codes of the errors of reading a backup. They are of kind config.
const (
	CodeBackupDamaged = "backup_damaged" // truncated, changed, or not a backup
	CodeBackupNewer   = "backup_newer"   // made by a newer MGX
	CodeNotEmpty      = "target_not_empty"
)

// Manifest says what is in a backup.
type Manifest struct {
	Format    int           `json:"mgx_backup"`
	Schema    int           `json:"schema"` // number of the last migration
	Epoch     string        `json:"epoch"`  // of the log that was backed up
	CreatedAt time.Time     `json:"created_at"`
	Program   string        `json:"program,omitempty"` // version that wrote it
	Tables    []BackupTable `json:"tables"`

	Rows  map[string]int64 `json:"-"` // by table, once all was read or written
	Files int64            `json:"-"`
}

// BackupTable names the columns of a table's rows.
type BackupTable struct {
	Name    string   `json:"name"`
	Columns []string `json:"columns"`
}

// mark is a line that begins something.
type mark struct {
	Table string      `json:"table,omitempty"`
	File  string      `json:"file,omitempty"`
	Mode  fs.FileMode `json:"mode,omitempty"`

	End    bool             `json:"end,omitempty"`
	Rows   map[string]int64 `json:"rows,omitempty"`
	Files  int64            `json:"files,omitempty"`
	SHA256 string           `json:"sha256,omitempty"`
}

// backupWriter writes the lines. Its memory does not grow with what it writes.
type backupWriter struct {
	zip   *gzip.Writer
	sum   hash.Hash
	line  bytes.Buffer
	rows  map[string]int64
	files int64
	table string
}

func newBackupWriter(to io.Writer, m Manifest) (*backupWriter, error) {
	zip, err := gzip.NewWriterLevel(to, gzip.BestSpeed)
	if err != nil {
		return nil, err
	}
	w := &backupWriter{zip: zip, sum: sha256.New(), rows: map[string]int64{}}
	return w, w.json(m)
}

// json writes one line.
func (w *backupWriter) json(v any) error {
	w.line.Reset()
	enc := json.NewEncoder(&w.line)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return err
	}
	if w.line.Len() > maxBackupLine {
		return mgx.Errorf(mgx.KindConfig, "row_too_large", "a row of table %s has more than %d MB, which a backup cannot hold", w.table, maxBackupLine>>20)
	}
	w.sum.Write(w.line.Bytes())
	_, err := w.zip.Write(w.line.Bytes())
	return err
}

func (w *backupWriter) begin(table string) error {
	w.table, w.rows[table] = table, 0
	return w.json(mark{Table: table})
}

// row writes the values of one row, replacing them by their form in the file.
func (w *backupWriter) row(values []any) error {
	for i, v := range values {
		switch v := v.(type) {
		case []byte:
			values[i] = map[string]string{"blob": base64.StdEncoding.EncodeToString(v)}
		case string:
			if !utf8.ValidString(v) {
				values[i] = map[string]string{"text": base64.StdEncoding.EncodeToString([]byte(v))}
			}
		}
	}
	w.rows[w.table]++
	return w.json(values)
}

func (w *backupWriter) file(name string, mode fs.FileMode, from io.Reader) error {
	if err := w.json(mark{File: name, Mode: mode.Perm()}); err != nil {
		return err
	}
	w.files++
	for piece := make([]byte, backupPiece); ; {
		n, err := io.ReadFull(from, piece)
		if n > 0 {
			if err := w.json(base64.StdEncoding.EncodeToString(piece[:n])); err != nil {
				return err
			}
		}
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (w *backupWriter) close() error {
	if err := w.json(mark{End: true, Rows: w.rows, Files: w.files, SHA256: hex.EncodeToString(w.sum.Sum(nil))}); err != nil {
		return err
	}
	return w.zip.Close()
}

// backupReader reads the lines and knows at the end whether they are what was
// written. Until then nothing of them may be believed.
type backupReader struct {
	Manifest
	from  *bufio.Reader // of the gzip stream, to see that nothing follows it
	zip   *gzip.Reader
	lines *bufio.Reader
	sum   hash.Hash
	line  []byte
	next  *mark // the mark that ended the last section
}

func newBackupReader(from io.Reader) (*backupReader, error) {
	r := &backupReader{from: bufio.NewReader(from), sum: sha256.New()}
	var err error
	if r.zip, err = gzip.NewReader(r.from); err != nil {
		return nil, damaged(err)
	}
	r.zip.Multistream(false)
	r.lines = bufio.NewReaderSize(r.zip, 1<<20)
	if err := r.read(); err != nil {
		return nil, err
	}
	if err := r.strict(&r.Manifest); err != nil || r.Format == 0 {
		return nil, damaged(errors.New("it does not begin as a backup"))
	}
	if r.Format > backupFormat {
		return nil, mgx.Errorf(mgx.KindConfig, CodeBackupNewer, "the backup was made by a newer mgx (format %d, this one knows %d); use the newer mgx", r.Format, backupFormat)
	}
	r.Rows = map[string]int64{}
	return r, r.checkTables()
}

func (r *backupReader) checkTables() error {
	if len(r.Tables) > maxBackupTable {
		return damaged(errors.New("it names too many tables"))
	}
	for _, t := range r.Tables {
		if len(t.Columns) > maxBackupTable {
			return damaged(fmt.Errorf("table %.80q has too many columns", t.Name))
		}
	}
	return nil
}

// damaged is the error of a file that is not what was written. The gzip format
// and the digest find every change.
func damaged(why error) error {
	if own, ok := errors.AsType[*mgx.Error](why); ok {
		return own
	}
	if errors.Is(why, io.EOF) || errors.Is(why, io.ErrUnexpectedEOF) {
		why = errors.New("it ends too early")
	}
	return mgx.Errorf(mgx.KindConfig, CodeBackupDamaged, "the backup is damaged, or is none: %w; nothing was restored: use another copy of it", why)
}

// read reads the next line into r.line.
func (r *backupReader) read() error {
	r.line = r.line[:0]
	for {
		part, err := r.lines.ReadSlice('\n')
		r.line = append(r.line, part...)
		switch {
		case err == nil:
			return nil
		case err != bufio.ErrBufferFull:
			return damaged(err)
		case len(r.line) > maxBackupLine:
			return damaged(errors.New("a line is too long"))
		}
	}
}

// strict decodes the line, which may hold nothing but what is known.
func (r *backupReader) strict(into any) error {
	r.sum.Write(r.line)
	d := json.NewDecoder(bytes.NewReader(r.line))
	d.DisallowUnknownFields()
	d.UseNumber()
	return d.Decode(into)
}

// section returns the next mark. One that is the end says that all that was read
// is whole.
func (r *backupReader) section() (*mark, error) {
	if m := r.next; m != nil {
		r.next = nil
		return m, nil
	}
	if err := r.read(); err != nil {
		return nil, err
	}
	if r.line[0] != '{' {
		return nil, damaged(errors.New("a line belongs to nothing"))
	}
	return r.mark()
}

func (r *backupReader) mark() (*mark, error) {
	before := hex.EncodeToString(r.sum.Sum(nil))
	var m mark
	if err := r.strict(&m); err != nil {
		return nil, damaged(err)
	}
	if m.End {
		return &m, r.end(m, before)
	}
	return &m, nil
}

// end checks the footer, and that it is the end.
func (r *backupReader) end(m mark, digest string) error {
	if m.SHA256 != digest {
		return damaged(errors.New("its content does not have the digest it states"))
	}
	if m.Files != r.Files || !sameCounts(m.Rows, r.Rows) {
		return damaged(errors.New("it does not hold as many rows as it states"))
	}
	if _, err := r.lines.ReadByte(); err != io.EOF { // also checks gzip's own sums
		return damaged(errors.Join(errors.New("something follows its end"), err))
	}
	if _, err := r.from.ReadByte(); err != io.EOF {
		return damaged(errors.New("something follows its end"))
	}
	return nil
}

func sameCounts(a, b map[string]int64) bool {
	if len(a) != len(b) {
		return false
	}
	for k, n := range a {
		if m, ok := b[k]; !ok || n != m {
			return false
		}
	}
	return true
}

// inside reads the next line of a section that begins with the given character,
// or notes the mark that ends it.
func (r *backupReader) inside(first byte) (bool, error) {
	if err := r.read(); err != nil {
		return false, err
	}
	switch r.line[0] {
	case first:
		return true, nil
	case '{':
		return false, nil
	}
	return false, damaged(errors.New("a line belongs to nothing"))
}

// row returns the next row of a table with n columns, or false.
func (r *backupReader) row(table string, n int) ([]any, bool, error) {
	more, err := r.inside('[')
	if err != nil || !more {
		return nil, false, r.hold(err)
	}
	var values []any
	if err := r.strict(&values); err != nil || len(values) != n {
		return nil, false, damaged(fmt.Errorf("a row of %s does not decode", table))
	}
	for i := range values {
		if values[i], err = fromBackup(values[i]); err != nil {
			return nil, false, err
		}
	}
	r.Rows[table]++
	return values, true, nil
}

// hold keeps the mark that was read where a row or a piece could have been.
func (r *backupReader) hold(err error) error {
	if err != nil {
		return err
	}
	r.next, err = r.mark()
	return err
}

func fromBackup(v any) (any, error) {
	switch v := v.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n, nil
		}
		if f, err := v.Float64(); err == nil {
			return f, nil
		}
	case map[string]any:
		for _, kind := range []string{"text", "blob"} {
			s, ok := v[kind].(string)
			b, err := base64.StdEncoding.DecodeString(s)
			switch {
			case !ok || err != nil || len(v) != 1:
			case kind == "text":
				return string(b), nil
			default:
				return b, nil
			}
		}
	case nil, bool, string:
		return v, nil
	}
	return nil, damaged(errors.New("a value is of no known form"))
}

// pieces is a file's content as a stream, which ends where the file ends.
type pieces struct {
	r    *backupReader
	rest []byte
	err  error
}

func (p *pieces) Read(to []byte) (int, error) {
	for len(p.rest) == 0 && p.err == nil {
		p.err = p.fill()
	}
	n := copy(to, p.rest)
	p.rest = p.rest[n:]
	if n == 0 {
		return 0, p.err
	}
	return n, nil
}

func (p *pieces) fill() error {
	more, err := p.r.inside('"')
	if err != nil {
		return err
	}
	if !more {
		if err := p.r.hold(nil); err != nil {
			return err
		}
		return io.EOF
	}
	var text string
	if err := p.r.strict(&text); err != nil {
		return damaged(err)
	}
	if p.rest, err = base64.StdEncoding.DecodeString(text); err != nil {
		return damaged(err)
	}
	return nil
}

// validBackupName refuses names that could leave the directory they go to.
func validBackupName(name string) error {
	if len(name) > maxBackupName || !fs.ValidPath(name) || name == "." || strings.ContainsAny(name, "\\\x00") {
		return damaged(fmt.Errorf("%.80q is not a name for a file", name))
	}
	return nil
}
