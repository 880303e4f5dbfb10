package api

import (
	"errors"
	"io"
	"maps"
	"net/http"
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	"mgx/internal/access"
	"mgx/internal/limit"
)

// Bounds of exports, and of what else reads everything there is.
const (
	exportsAtOnce = 4 // that read the database
	exportsQueue  = 64
	exportsWait   = 20 * time.Second
	exportsEach   = 4        // of one person; twice as many of a workspace
	leastSpeed    = 64 << 10 // bytes a second at which one is read, after its first minute
)

// due is when the next piece of a file has to be through, either way, of which so many
// bytes are since it began.
func due(began time.Time, bytes int64) time.Time {
	due := began.Add(time.Minute + time.Duration(bytes/leastSpeed)*time.Second)
	if soon := time.Now().Add(pieceWait); soon.Before(due) {
		return soon
	}
	return due
}

// spools reports whether what a route or page answers is made for it from everything
// there is, and so of whatever length, or as long in the making.
func spools(to route, r *http.Request) bool {
	switch _, at := split(to.pattern); path.Base(at) {
	case "export", "verification":
		return true
	case "usage":
		return strings.HasPrefix(at, "/api/") && wantsCSV(r)
	default:
		return strings.HasSuffix(at, ".jsonl")
	}
}

// spooled has an export be whole in a file before the first byte is sent: whoever
// reads slowly holds neither a connection of the database nor a place, and for as
// long as a slow line takes. Nobody has more than a few under way.
func (s *Server) spooled(to route, next handler) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if !spools(to, r) {
			return next(w, r)
		}
		leave, err := s.exporting(r)
		if err != nil {
			return err
		}
		defer leave()
		file, err := newSpool(s.o.Spool)
		if err != nil {
			return err
		}
		defer file.Close()
		http.NewResponseController(w).SetWriteDeadline(time.Time{}) // until there is something to send
		if err := s.fill(file, r, next); err != nil {
			return err
		}
		if p := placeOf(r.Context()); p != nil {
			p.leave()
		}
		return file.send(w)
	}
}

// exporting counts an export of somebody. The owner has as many as there is room for.
func (s *Server) exporting(r *http.Request) (leave func(), err error) {
	actor, known := access.From(r.Context())
	if !known || actor.Owner {
		return func() {}, nil
	}
	return s.slow.Enter(
		limit.Share{Owner: "export user:" + string(actor.User), Most: exportsEach},
		limit.Share{Owner: "export workspace:" + string(actor.Workspace), Most: 2 * exportsEach},
	)
}

func (s *Server) fill(file *spool, r *http.Request, next handler) error {
	leave, err := s.exports.Enter(r.Context())
	if err != nil {
		return err
	}
	defer leave()
	return errors.Join(next(file, r), file.failed)
}

// spool is an answer in a file that has no name.
type spool struct {
	*os.File
	header http.Header
	status int
	size   int64
	failed error // to write the file
}

func newSpool(dir string) (*spool, error) {
	f, err := os.CreateTemp(dir, "export-")
	if err != nil {
		return nil, err
	}
	return &spool{File: f, header: http.Header{}, status: http.StatusOK}, os.Remove(f.Name())
}

func (s *spool) Header() http.Header { return s.header }

func (s *spool) WriteHeader(status int) { s.status = status }

func (s *spool) Write(b []byte) (int, error) {
	n, err := s.File.Write(b)
	if s.size += int64(n); err != nil {
		s.failed = err
	}
	return n, err
}

// ReadFrom is hidden, since it would not count.
func (s *spool) ReadFrom(r io.Reader) (int64, error) {
	return io.Copy(struct{ io.Writer }{s}, r)
}

// send sends what was written, piece by piece.
func (s *spool) send(w http.ResponseWriter) error {
	if _, err := s.Seek(0, io.SeekStart); err != nil {
		return err
	}
	maps.Copy(w.Header(), s.header)
	w.Header().Set("Content-Length", strconv.FormatInt(s.size, 10))
	w.WriteHeader(s.status)
	began, sent := time.Now(), int64(0)
	for piece := make([]byte, 64<<10); ; {
		n, err := s.Read(piece)
		if n > 0 {
			http.NewResponseController(w).SetWriteDeadline(due(began, sent)) // a recorder in a test has none
			m, err := w.Write(piece[:n])
			if sent += int64(m); err != nil {
				return err
			}
		}
		if err != nil {
			if err == io.EOF {
				return nil
			}
			return err
		}
	}
}
