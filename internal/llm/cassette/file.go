package cassette

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"time"

	"mgx"
	"mgx/internal/llm"
)

// Tape is a recording that was read.
type Tape struct {
	Header    Header
	Sessions  int // processes that recorded it
	Runs      []Run
	Exchanges []*Exchange
	Torn      bool // the last line was not whole and is left out

	whole int64 // bytes up to the end of the last whole line
}

// Load reads a recording.
func Load(name string) (*Tape, error) {
	f, err := open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return read(name, f)
}

func open(name string) (*os.File, error) {
	info, err := os.Stat(name) // before opening, which would wait on a pipe
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, mgx.Errorf(mgx.KindUsage, "no_recording", "there is no recording %s; make one with: mgx run --record %s", name, name)
	case err != nil:
		return nil, unusable(name, err)
	case !info.Mode().IsRegular():
		return nil, unusable(name, errors.New("it is not a file"))
	case info.Size() > maxFile:
		return nil, unusable(name, fmt.Errorf("it has more than %d MB", maxFile>>20))
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, unusable(name, err)
	}
	return f, nil
}

func unusable(name string, why error) error {
	return mgx.Errorf(mgx.KindUsage, "bad_recording", "the recording %s cannot be used: %w", name, why)
}

func read(name string, r io.Reader) (*Tape, error) {
	t := &Tape{}
	in := bufio.NewReaderSize(r, 1<<20)
	for n := 1; ; n++ {
		raw, err := readLine(in)
		if err == io.EOF {
			t.Torn = len(raw) > 0
			break
		}
		if err != nil {
			return nil, unusable(name, fmt.Errorf("line %d: %w", n, err))
		}
		if err := t.take(n, raw); err != nil {
			return nil, unusable(name, fmt.Errorf("line %d: %w", n, err))
		}
		t.whole += int64(len(raw))
	}
	if t.Header.Version == 0 {
		return nil, unusable(name, errors.New("it holds not one whole line"))
	}
	return t, nil
}

// readLine reads a line with its end; io.EOF comes with what is no whole line.
func readLine(in *bufio.Reader) ([]byte, error) {
	var all []byte
	for {
		piece, err := in.ReadSlice('\n')
		all = append(all, piece...)
		if len(all) > maxLine {
			return nil, fmt.Errorf("it has more than %d MB", maxLine>>20)
		}
		if err != bufio.ErrBufferFull {
			return all, err
		}
	}
}

func (t *Tape) take(n int, raw []byte) error {
	var l line
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&l); err != nil {
		if n == 1 {
			return errors.New("it is not a recording of mgx")
		}
		return err
	}
	switch {
	case n == 1 && l.Header == nil:
		return errors.New("it is not a recording of mgx")
	case n == 1 && l.Header.Version != Version:
		return fmt.Errorf("it is of version %d, and this mgx reads version %d; record it again", l.Header.Version, Version)
	case n == 1:
		t.Header, t.Sessions = *l.Header, 1
	case l.Session != nil:
		t.Sessions++
		t.Exchanges = append(t.Exchanges, nil) // where another process took over
	case l.Run != nil:
		t.Runs = append(t.Runs, *l.Run)
	case l.Exchange != nil && (l.Exchange.Answer == nil) == (l.Exchange.Failure == nil):
		return errors.New("an exchange has no outcome, or two")
	case l.Exchange != nil:
		t.Exchanges = append(t.Exchanges, l.Exchange)
	default:
		return errors.New("it says nothing that is known")
	}
	return nil
}

// settle drops calls whose answers were lost: a process that died after its last
// answer came and before the run had recorded it was followed by one that made
// the same call again.
func settle(all []*Exchange) []*Exchange {
	var kept []*Exchange
	for i, x := range all {
		if x != nil {
			kept = append(kept, x)
			continue
		}
		if i+1 == len(all) || all[i+1] == nil {
			continue
		}
		again := all[i+1].Request.maskedKey()
		for len(kept) > 0 && kept[len(kept)-1].Request.maskedKey() == again {
			kept = kept[:len(kept)-1]
		}
	}
	return kept
}

// file is a recording that is being written. Its first error stays.
type file struct {
	mu   sync.Mutex
	name string
	out  *os.File
	size int64
	err  error
}

// create makes a new file, for its owner alone: prompts hold what the repository holds.
func create(name string, h Header) (*file, error) {
	out, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil, mgx.Errorf(mgx.KindUsage, "recording_exists", "%s exists already; remove it, or record to another file", name)
	}
	if err != nil {
		return nil, unwritable(name, err)
	}
	f := &file{name: name, out: out}
	f.write(line{Header: &h})
	return f, f.failed()
}

// extend goes on with a file after its last whole line.
func extend(name string, t *Tape) (*file, error) {
	out, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return nil, unwritable(name, err)
	}
	f := &file{name: name, out: out, size: t.whole}
	if err := out.Truncate(t.whole); err != nil {
		out.Close()
		return nil, unwritable(name, err)
	}
	f.write(line{Session: &Session{Started: time.Now().UTC()}})
	return f, f.failed()
}

func unwritable(name string, why error) error {
	return mgx.Errorf(mgx.KindConfig, "recording_failed", "the recording %s cannot be written: %w", name, why)
}

// write writes a line in one piece.
func (f *file) write(l line) {
	var err error
	data := llm.MarshalWire(l)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return
	}
	data = append(data, '\n')
	if err == nil && (len(data) > maxLine || f.size+int64(len(data)) > maxFile) {
		err = fmt.Errorf("it would grow beyond %d MB", maxFile>>20)
	}
	if err == nil {
		_, err = f.out.Write(data)
	}
	if err != nil {
		f.err = unwritable(f.name, err)
		return
	}
	f.size += int64(len(data))
}

func (f *file) failed() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

func (f *file) close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := errors.Join(f.out.Sync(), f.out.Close()); err != nil && f.err == nil {
		f.err = unwritable(f.name, err)
	}
	return f.err
}
