package tool

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"mgx/internal/sandbox"
)

var errNoRipgrep = errors.New("no ripgrep in the box")

// ripgrep runs rg in the box and collects its matches. It is stopped as soon as
// there are enough.
func ripgrep(ctx context.Context, ws *Workspace, p place, a grepArgs, s *search) error {
	limited, stop := context.WithTimeout(ctx, searchTimeout)
	defer stop()
	out := &ripgrepOutput{root: p, search: s, stop: stop}
	var complaints limitedBuffer
	res, err := ws.Box.Run(limited, sandbox.Command{
		Args:     ripgrepArgs(p, a),
		Stdout:   out,
		Stderr:   &complaints,
		Timeout:  searchTimeout,
		ReadOnly: true,
		Mounts:   ws.Veil,
	})
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case s.more:
		return nil // stopped on purpose
	case limited.Err() != nil || res.TimedOut:
		s.early = true
		return nil
	case err != nil:
		return err
	case res.ExitCode > 1 && s.matches == 0:
		return errNoRipgrep // 127: it is not there; one that cannot do it is as good as none
	}
	return nil
}

func ripgrepArgs(p place, a grepArgs) []string {
	args := []string{
		"rg", "--json", "--no-config", "--hidden", "--crlf", "--sort", "path",
		"--max-filesize", fmt.Sprint(maxSearched), "--context", fmt.Sprint(a.Context), "--glob", "!.git",
	}
	if a.Include != "" {
		args = append(args, "--glob", strings.TrimPrefix(a.Include, sandbox.Workspace+"/"))
	}
	return append(args, "--regexp", a.Pattern, "--", p.name)
}

// ripgrepOutput reads the messages of rg --json, one a line.
type ripgrepOutput struct {
	root    place
	search  *search
	stop    func()
	pending []byte
}

// A message holds one line of a searched file, so it is bounded by maxSearched;
// escapes can make it six times as long.
const maxMessage = 6*maxSearched + 64<<10

func (o *ripgrepOutput) Write(b []byte) (int, error) {
	o.pending = append(o.pending, b...)
	for !o.search.more {
		message, rest, ok := bytes.Cut(o.pending, []byte("\n"))
		if !ok {
			break
		}
		o.take(message)
		o.pending = rest
	}
	if o.search.more || len(o.pending) > maxMessage {
		o.search.more, o.pending = true, nil
		o.stop()
	}
	return len(b), nil
}

type ripgrepMessage struct {
	Type string
	Data struct {
		Path       ripgrepText
		Lines      ripgrepText
		LineNumber int `json:"line_number"`
		Submatches []struct{ Start int }
	}
}

// ripgrepText is text, or base64 when it is not UTF-8.
type ripgrepText struct {
	Text  string
	Bytes []byte
}

func (t ripgrepText) String() string {
	if t.Bytes != nil {
		return string(t.Bytes)
	}
	return t.Text
}

func (o *ripgrepOutput) take(message []byte) {
	var m ripgrepMessage
	if json.Unmarshal(message, &m) != nil || m.Type != "match" && m.Type != "context" {
		return
	}
	at := -1
	if m.Type == "match" {
		if o.search.full() {
			return
		}
		at = 0
		if len(m.Data.Submatches) > 0 {
			at = m.Data.Submatches[0].Start
		}
	}
	name := strings.TrimPrefix(m.Data.Path.String(), "./")
	o.search.add(place{root: o.root.root, name: name}, m.Data.LineNumber, strings.TrimSuffix(m.Data.Lines.String(), "\n"), at)
}

// limitedBuffer keeps the first few kilobytes.
type limitedBuffer struct{ bytes.Buffer }

func (b *limitedBuffer) Write(p []byte) (int, error) {
	if room := 8<<10 - b.Len(); room > 0 {
		b.Buffer.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}
