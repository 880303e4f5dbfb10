package mgx_test

import (
	"errors"
	"testing"

	"mgx"
)

// Where the database lies is told to nobody who does not run the installation; what
// a person can do something about is.
func TestOutward(t *testing.T) {
	t.Parallel()
	cause := errors.New("dial /var/lib/mgx/secret")
	for want, e := range map[string]*mgx.Error{
		"the database server cannot be reached: reads and writes are refused until it can": mgx.Errorf(mgx.KindConfig, "database_unavailable", "the database postgres://mgx@10.0.0.1/mgx cannot be reached: %w", cause),
		"the database failed; the server's log says how":                                   mgx.Errorf(mgx.KindInternal, "database_error", "the database /var/lib/mgx/mgx.db failed: %w", cause),
		"an internal error; the server's log tells more":                                   mgx.Errorf(mgx.KindInternal, "bad_row", "row 7 of /var/lib/mgx/mgx.db: %w", cause),
		"this workspace has no model that it can call":                                     mgx.Errorf(mgx.KindConfig, "no_provider", "this workspace has no model that it can call"),
		"there is no such run":                                                             mgx.Errorf(mgx.KindUsage, mgx.CodeNotFound, "there is no such run"),
	} {
		if got := e.Outward(); got != want {
			t.Errorf("%s: %q, want %q", e.Code, got, want)
		}
	}
}
