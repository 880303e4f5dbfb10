package telemetry_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"testing/slogtest"

	"mgx/internal/telemetry"
)

const secret = "sk-abcdefgh1"

func hide(s string) string { return strings.ReplaceAll(s, secret, "[redacted]") }

func logger(format string) (*slog.Logger, *bytes.Buffer) {
	var b bytes.Buffer
	return telemetry.NewLogger(&b, telemetry.Options{Format: format, Level: slog.LevelInfo, Redact: hide}), &b
}

func line(t *testing.T, b *bytes.Buffer) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(b.Bytes(), &m); err != nil {
		t.Fatalf("%v in %q", err, b)
	}
	return m
}

func TestHandlerContract(t *testing.T) {
	t.Parallel()
	var b *bytes.Buffer
	slogtest.Run(t,
		func(*testing.T) slog.Handler {
			var l *slog.Logger
			l, b = logger("json")
			return l.Handler()
		},
		func(t *testing.T) map[string]any { return line(t, b) })
}

type stringer struct{ s string }

func (s stringer) String() string { return "<" + s.s + ">" }

type panicker struct{ s string }

func (p *panicker) String() string { return p.s }

type valuer struct{ v any }

func (v valuer) LogValue() slog.Value { return slog.AnyValue(v.v) }

type texter struct{ s string }

func (t texter) MarshalText() ([]byte, error) { return []byte(t.s), nil }

type plain struct {
	Name string
	Tags map[string][]string
	F    func() `json:"-"`
}

// Every way to put a string into a line.
func TestNothingSecretIsWritten(t *testing.T) {
	t.Parallel()
	u, _ := url.Parse("https://me:" + secret + "@host/")
	values := map[string]any{
		"string":  "x " + secret,
		"error":   fmt.Errorf("call: %w", errors.New(secret)),
		"bytes":   []byte(secret),
		"raw":     json.RawMessage(`{"a":"` + secret + `"}`),
		"string2": stringer{secret},
		"text":    texter{secret},
		"url":     u.User,
		"struct":  plain{Name: secret, Tags: map[string][]string{secret: {secret}}},
		"pointer": &plain{Name: secret},
		"map":     map[string]any{"deep": []any{secret}},
		"func":    struct{ F any }{func() {}},
		"panic":   panicMessage(secret),
		"valuer":  valuer{valuer{stringer{secret}}},
		"group":   slog.GroupValue(slog.String("a", secret), slog.Group("b", "c", errors.New(secret))),
		"args":    []slog.Attr{slog.String("k", secret)},
	}
	for _, format := range []string{"text", "json"} {
		for name, v := range values {
			t.Run(format+"/"+name, func(t *testing.T) {
				t.Parallel()
				l, b := logger(format)
				l.Info("m", "k", v)
				l.With("k", v).WithGroup("g").With(slog.Any("k", v)).Info("m", "k", v)
				if strings.Contains(b.String(), secret) {
					t.Errorf("leaked: %s", b)
				}
				if want := 4; name != "func" && strings.Count(b.String(), "[redacted]") < want {
					t.Errorf("fewer than %d masks, so something was dropped: %s", want, b)
				}
			})
		}
	}
}

type panicMessage string

func (p panicMessage) String() string { panic(string(p)) }

func TestMessageKeysAndGroupsAreRedacted(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"text", "json"} {
		l, b := logger(format)
		ctx := telemetry.With(t.Context(), telemetry.IDs{Step: secret})
		l.WithGroup("g"+secret).InfoContext(ctx, "m "+secret, "k"+secret, 1)
		if strings.Contains(b.String(), secret) || strings.Count(b.String(), "[redacted]") != 4 {
			t.Errorf("%s: %s", format, b)
		}
	}
}

// Redact is asked at every line, not when a child logger is made.
func TestSecretLearntLater(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	redact := func(s string) string { return s }
	l := telemetry.NewLogger(&b, telemetry.Options{Redact: func(s string) string { return redact(s) }})
	child := l.With("k", secret)
	redact = hide
	child.Info("m")
	if strings.Contains(b.String(), secret) {
		t.Errorf("leaked: %s", &b)
	}
}

func TestIDsAreOnEveryLine(t *testing.T) {
	t.Parallel()
	l, b := logger("json")
	trace, _ := telemetry.NewTrace()
	ctx := telemetry.With(t.Context(), telemetry.IDs{Workspace: "ws_1", Task: "task_1", Run: "run_1", Trace: trace})
	ctx = telemetry.With(ctx, telemetry.IDs{Step: "plan", Agent: "agent_1", Run: "run_2"})
	l.WithGroup("g").With("a", 1).InfoContext(ctx, "m", "b", 2)
	got := line(t, b)
	for k, want := range map[string]string{
		"workspace_id": "ws_1", "task_id": "task_1", "run_id": "run_2", "step": "plan", "agent_id": "agent_1", "trace_id": trace,
	} {
		if got[k] != want {
			t.Errorf("%s is %v, want %s, in %v", k, got[k], want, got)
		}
	}
	if g, _ := got["g"].(map[string]any); g["a"] != 1.0 || g["b"] != 2.0 || len(g) != 2 {
		t.Errorf("group is %v", got["g"])
	}
}

func TestUnknownIDsAreLeftOut(t *testing.T) {
	t.Parallel()
	l, b := logger("json")
	l.InfoContext(context.Background(), "m")
	if got := line(t, b); len(got) != 3 {
		t.Errorf("got %v, want time, level and msg only", got)
	}
}

func TestSiblingsDoNotShare(t *testing.T) {
	t.Parallel()
	l, b := logger("text")
	parent := l.With("a", 1).With("b", 2).With("c", 3)
	one, two := parent.With("d", "one"), parent.With("d", "two")
	one.Info("m")
	if two.Info("m"); strings.Count(b.String(), "d=one") != 1 || strings.Count(b.String(), "d=two") != 1 {
		t.Errorf("got %s", b)
	}
}

func TestLevelAndNilValues(t *testing.T) {
	t.Parallel()
	var nilPanicker *panicker
	for _, format := range []string{"text", "json"} {
		l, b := logger(format)
		l.Debug("hidden")
		l.Info("shown", "nil", nil, "pointer", nilPanicker, "number", 7)
		if out := b.String(); strings.Contains(out, "hidden") || !strings.Contains(out, "PANIC") || !strings.Contains(out, "7") {
			t.Errorf("%s: %s", format, out)
		}
	}
}

func TestNewTrace(t *testing.T) {
	t.Parallel()
	id, parent := telemetry.NewTrace()
	if !regexp.MustCompile(`^00-`+id+`-[0-9a-f]{16}-01$`).MatchString(parent) || len(id) != 32 {
		t.Errorf("id %q, traceparent %q", id, parent)
	}
	if other, _ := telemetry.NewTrace(); other == id {
		t.Error("two traces share an id")
	}
}

// Whatever is logged, a record is one line, and nothing in it moves a terminal's cursor
// or begins another line for who reads it.
func TestRecordIsOneLine(t *testing.T) {
	t.Parallel()
	const evil = "x\r\ntime=2026-01-01T00:00:00Z level=ERROR msg=\"all keys were sent\"\x1b[2J\x1b]0;t\x07\x00\u2028y\u2029\v\f\x7f"
	for _, format := range []string{"text", "json"} {
		l, b := logger(format)
		l = l.With(evil, evil).WithGroup(evil)
		l.Error(evil, evil, evil, "error", errors.New(evil), "any", []any{evil}, "deep", slog.GroupValue(slog.String(evil, evil)), "text", stringer{evil}, "panic", (*panicker)(nil), "value", valuer{evil})
		text, ended := strings.CutSuffix(b.String(), "\n")
		if !ended || strings.ContainsAny(text, "\r\n\x1b\x07\x00\u2028\u2029\v\f") || !strings.Contains(text, "all keys were sent") {
			t.Errorf("%s: %q", format, text)
		}
	}
}
