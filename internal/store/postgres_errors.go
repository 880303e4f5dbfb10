package store

import (
	"context"
	sqldriver "database/sql/driver"
	"errors"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"mgx"
)

// Codes of the errors that come from a database server. Kind config.
const (
	CodeUnavailable = "database_unavailable" // it cannot be reached, or went away
	CodeRefused     = "database_refused"     // it does not let us in
	CodeBadText     = "bad_text"             // of kind usage: a value is not text
)

// explain turns a server's error into one that says what to do.
func (d *server) explain(err error) error {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) && !unavailable(err) {
		return err
	}
	if own, ok := errors.AsType[*mgx.Error](err); ok {
		return own
	}
	kind, code, sentence := mgx.KindConfig, "", ""
	switch state := sqlState(err); {
	case state == "53100":
		code, sentence = CodeDiskFull, "the disk of the database server of %s is full; nothing was lost: free some space there, then run the command again"
	case state == "25006":
		code, sentence = CodeReadOnly, "the database %s cannot be written: it is a standby or set read-only; use the primary"
	case state == "3D000", strings.HasPrefix(state, "28"):
		code, sentence = CodeRefused, "the database server refuses %s; check the user, the password and the name of the database, which must exist"
	case state == "42501":
		code, sentence = CodeRefused, "the user of %s lacks a right; it must own the database or its schema"
	case strings.HasPrefix(state, "XX"):
		code, sentence = CodeCorrupt, "the database %s reports damage; restore a backup"
	case state == "55P03", state == "57014":
		code, sentence = CodeBusy, "the database %s was kept locked for too long; try again"
	case unavailable(err):
		code, sentence = CodeUnavailable, "the database %s cannot be reached; nothing was lost: check the server and the network, then try again"
	case state == "22021", state == "22P05":
		e := mgx.Errorf(mgx.KindUsage, CodeBadText, "a value holds bytes that are not text, zero bytes or broken UTF-8; leave them out")
		e.Err = err
		return e
	default:
		kind, code, sentence = mgx.KindInternal, "database_error", "the database %s failed"
	}
	e := mgx.Errorf(kind, code, sentence+" (%s)", d.name, briefly(err))
	e.Err = err
	return e
}

// briefly is the innermost cause: drivers list each address they tried.
func briefly(err error) string {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return e.Message
	}
	for {
		if list, ok := err.(interface{ Unwrap() []error }); ok && len(list.Unwrap()) > 0 {
			err = list.Unwrap()[0]
		} else if next := errors.Unwrap(err); next != nil {
			err = next
		} else {
			return err.Error()
		}
	}
}

func inDoubt(name string, err error) error {
	e := mgx.Errorf(mgx.KindConfig, CodeUnavailable, "the connection to %s was lost while a change was being committed and did not come back; look whether it is there before you repeat it (%s)", name, briefly(err))
	e.Err = err
	return e
}

// sqlState returns the server's code for an error
// (https://www.postgresql.org/docs/15/errcodes-appendix.html), "" for others.
func sqlState(err error) string {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return e.Code
	}
	return ""
}

// collided reports whether the transaction met others and may simply be tried again.
func collided(err error) bool {
	switch sqlState(err) {
	case "40001", "40P01", "23505": // serialization, deadlock, two made the same new row
		return true
	}
	return false
}

// unavailable reports whether the server could not be asked, or went away.
func unavailable(err error) bool {
	switch code := sqlState(err); {
	case strings.HasPrefix(code, "08"), code == "57P01", code == "57P02", code == "57P03", code == "25P03", code == "53300":
		return true
	case code != "":
		return false
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return true
	}
	if _, ok := errors.AsType[net.Error](err); ok && !errors.Is(err, context.Canceled) {
		return true
	}
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, sqldriver.ErrBadConn) ||
		strings.Contains(err.Error(), "conn closed")
}

// refusedCommit reports whether the server has said that a commit failed. After
// every other error it may have been carried out.
func refusedCommit(err error) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && e.SeverityUnlocalized == "ERROR" && !strings.HasPrefix(e.Code, "08") && e.Code != "40003"
}
