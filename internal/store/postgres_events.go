package store

import (
	"context"
	sqldriver "database/sql/driver"
	"encoding/binary"
	"encoding/json"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"mgx"
)

// events reads rows as the server sends them. By way of database/sql each of their
// 17 columns becomes a value of any type first, and a string of its own, though most
// columns of a row say what they said in the row before.
func (d *server) events(ctx context.Context, from string, args []any, take func(mgx.Event) bool) error {
	query := `SELECT ` + eventColumns + from
	for tries := 1; ; tries++ {
		err := d.asked.raw(ctx, func(c *pgx.Conn) error { return readEvents(ctx, c, query, args, take) })
		if err != sqldriver.ErrBadConn || tries == fewTries {
			return err
		}
	}
}

// allBinary asks for every column as bytes that mean what the server means by them.
var allBinary = pgx.QueryResultFormats{pgx.BinaryFormatCode}

func readEvents(ctx context.Context, conn *pgx.Conn, query string, args []any, take func(mgx.Event) bool) error {
	rows, err := conn.Query(ctx, query, append([]any{allBinary}, args...)...)
	if err != nil {
		if pgconn.SafeToRetry(err) { // a connection that had died before
			return sqldriver.ErrBadConn
		}
		return err
	}
	defer rows.Close()
	var e mgx.Event
	for rows.Next() {
		integer := binaryInteger
		if rows.FieldDescriptions()[0].Format == pgx.TextFormatCode { // the address asks for the simple protocol
			integer = textInteger
		}
		decodeEvent(&e, rows.RawValues(), integer)
		if !take(e) {
			break
		}
	}
	rows.Close()
	return rows.Err()
}

// decodeEvent reads eventColumns over the event of the row before, of which it keeps
// the strings that are the same.
func decodeEvent(e *mgx.Event, row [][]byte, integer func([]byte) int64) {
	e.Position, e.Sequence, e.Time = integer(row[0]), integer(row[4]), time.UnixMicro(integer(row[7])).UTC()
	set(&e.ID, row[1])
	set(&e.Workspace, row[2])
	set(&e.Stream, row[3])
	set(&e.Type, row[5])
	set(&e.Version, row[6])
	set(&e.Project, row[8])
	set(&e.Task, row[9])
	set(&e.Run, row[10])
	set(&e.Agent, row[11])
	set(&e.Execution, row[12])
	set(&e.Correlation, row[13])
	set(&e.Causation, row[14])
	set(&e.Traceparent, row[15])
	e.Data = append(json.RawMessage(nil), row[16]...)
}

func binaryInteger(column []byte) int64 { return int64(binary.BigEndian.Uint64(column)) }

func textInteger(column []byte) int64 {
	n, _ := strconv.ParseInt(string(column), 10, 64) // a column that is an integer
	return n
}

func set[T ~string](s *T, column []byte) {
	if string(*s) != string(column) {
		*s = T(column)
	}
}
