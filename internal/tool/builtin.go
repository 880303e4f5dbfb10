package tool

import (
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"mgx"
)

// about holds what models read about each tool: NAME.md says how to use it,
// NAME.json is the schema of its arguments.
//
//go:embed *.md *.json
var about embed.FS

// Builtins returns the tools every agent may be given, reading ones first.
func Builtins() []Tool {
	return []Tool{
		builtin[listArgs]{describe("list", Read), list},
		builtin[globArgs]{describe("glob", Read), glob},
		builtin[grepArgs]{describe("grep", Read), grep},
		builtin[readArgs]{describe("read", Read), read},
		builtin[editArgs]{describe("edit", Write), edit},
		builtin[writeArgs]{describe("write", Write), write},
		builtin[patchArgs]{describe("apply_patch", Write), applyPatch},
		builtin[shellArgs]{describe("shell", Execute), shell},
	}
}

// ByName returns the built-in tools with these names, in this order.
func ByName(names []string) ([]Tool, error) {
	all := Builtins()
	var chosen []Tool
	for _, name := range names {
		i := slices.IndexFunc(all, func(t Tool) bool { return t.Spec().Name == name })
		if i < 0 {
			return nil, mgx.Errorf(mgx.KindUsage, "unknown_tool", "there is no tool %q; there are %s", name, namesOf(all))
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}

func namesOf(tools []Tool) string {
	var names []string
	for _, t := range tools {
		names = append(names, t.Spec().Name)
	}
	return strings.Join(names, ", ")
}

// IsReadOnly reports whether calls of this tool may run beside each other: they
// only look.
func IsReadOnly(s Spec) bool { return s.Effect == Read }

// describe builds a spec from the prose and schema beside the code.
func describe(name string, effect Effect) Spec {
	return Spec{
		Name:        name,
		Description: strings.TrimSpace(string(embedded(name + ".md"))),
		Schema:      compact(embedded(name + ".json")),
		Effect:      effect,
	}
}

func embedded(file string) []byte {
	b, err := about.ReadFile(file)
	if err != nil {
		panic("tool: " + err.Error())
	}
	return b
}

func compact(schema []byte) json.RawMessage {
	var b bytes.Buffer
	if err := json.Compact(&b, schema); err != nil {
		panic("tool: " + err.Error())
	}
	return b.Bytes()
}

// builtin is a tool whose arguments decode into an A.
type builtin[A any] struct {
	spec Spec
	do   func(ctx context.Context, ws *Workspace, args A) (Result, error)
}

func (b builtin[A]) Spec() Spec { return b.spec }

// Call decodes the arguments, keeps writing tools out of read-only workspaces
// and turns a reply into the result it stands for.
func (b builtin[A]) Call(ctx context.Context, ws *Workspace, raw json.RawMessage) (Result, error) {
	start := time.Now()
	res, err := b.try(ctx, ws, raw)
	if r, ok := errors.AsType[*reply](err); ok {
		res, err = Result{Text: r.text, Status: r.status}, nil
	}
	res.Duration = time.Since(start)
	return res, err
}

func (b builtin[A]) try(ctx context.Context, ws *Workspace, raw json.RawMessage) (Result, error) {
	if b.spec.Effect == Write && ws.ReadOnly {
		return Result{}, deniedf("The workspace is read-only until the plan is approved. Nothing was changed.")
	}
	var args A
	if err := json.Unmarshal(raw, &args); err != nil {
		return Result{}, failf("The arguments of %s do not decode: %s.", b.spec.Name, Clean(err.Error()))
	}
	return b.do(ctx, ws, args)
}

// reply is a result that travels as an error: what the model is told instead of
// what it asked for.
type reply struct {
	status Status
	text   string
}

func (r *reply) Error() string { return r.text }

func failf(format string, args ...any) error {
	return &reply{Failure, fmt.Sprintf(format, args...)}
}

func deniedf(format string, args ...any) error {
	return &reply{Denied, fmt.Sprintf(format, args...)}
}

func succeed(text string) (Result, error) { return Result{Text: text, Status: Success}, nil }
