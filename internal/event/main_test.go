package event_test

import (
	"testing"

	"mgx/internal/store/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }
