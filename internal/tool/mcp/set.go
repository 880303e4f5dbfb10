package mcp

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"mgx"
	"mgx/internal/sandbox"
	"mgx/internal/tool"
)

// Options are what servers of a run are connected with.
type Options struct {
	Run      mgx.RunID
	Box      sandbox.Box         // in which programs run; nil: none can
	Getenv   func(string) string // where ${NAME} is looked up
	Secret   func(string)        // hears each value that is put in, before it is
	Version  string              // of mgx, which servers are told
	Lifetime time.Duration       // of a program

	flood int64         // bytes between two calls; 0: maxFlood
	start time.Duration // until a server has answered; 0: startTimeout
}

// Set are the servers of one run.
type Set struct {
	servers map[string]*connector
	run     mgx.RunID
}

// maxOffered bounds the tools of all servers of a run together, and maxWords what
// is said of them.
const (
	maxOffered  = 128
	maxAllWords = 256 << 10
)

// Open prepares to connect servers. None is, until something is asked of it.
func Open(servers []mgx.MCPServer, o Options) *Set {
	o.flood, o.start = cmp.Or(o.flood, maxFlood), cmp.Or(o.start, startTimeout)
	s := &Set{servers: map[string]*connector{}, run: o.Run}
	for _, one := range servers {
		if one.Timeout <= 0 {
			one.Timeout = callTimeout
		}
		s.servers[one.Name] = &connector{server: one, options: o}
	}
	return s
}

// Close ends every program and session.
func (s *Set) Close() error {
	for _, c := range s.servers {
		c.close()
	}
	return nil
}

// Describe connects a server and returns what it says of its tools.
func (s *Set) Describe(ctx context.Context, server string) ([]Described, error) {
	c := s.servers[server]
	if c == nil {
		return nil, mgx.Errorf(mgx.KindUsage, mgx.CodeNotFound, "there is no MCP server %q", server)
	}
	_, tools, err := c.get(ctx)
	return tools, err
}

// Offer connects every server and returns the tools that are as they were
// pinned. A server that cannot be had is an error: whoever set it up wants it.
func (s *Set) Offer(ctx context.Context) (tool.Offer, error) {
	var offer tool.Offer
	words := 0
	for _, name := range slices.Sorted(maps.Keys(s.servers)) {
		all, err := s.Describe(ctx, name)
		if err != nil {
			return tool.Offer{}, err
		}
		for _, d := range all {
			words += len(d.offered.Description) + len(d.offered.Schema)
			switch {
			case d.State != IsPinned:
			case len(offer.Tools) >= maxOffered || words > maxAllWords:
				offer.Refused = append(offer.Refused, tool.Refusal{Server: name, Tool: d.Tool, Why: "The servers of the run have more tools than an agent can be given; name those it needs in the configuration."})
			default:
				offer.Tools = append(offer.Tools, d.offered)
			}
		}
		offer.Refused = append(offer.Refused, refusals(s.servers[name].server, all)...)
	}
	return offer, nil
}

// refusals says which tools a server does not get to offer, and why.
func refusals(s mgx.MCPServer, all []Described) (out []tool.Refusal) {
	var unpinned []string
	gone := maps.Clone(s.Pins)
	for _, d := range all {
		delete(gone, d.Tool)
		switch d.State {
		case IsNew:
			unpinned = append(unpinned, tool.Visible(cut(d.Tool)))
		case IsChanged:
			out = append(out, tool.Refusal{Server: s.Name, Tool: d.Tool, Changed: true, Why: changedSentence(s.Name, d.Tool)})
		case IsUnfit:
			if _, pinned := s.Pins[d.Tool]; pinned || len(s.Tools) > 0 {
				out = append(out, tool.Refusal{Server: s.Name, Tool: d.Tool, Why: fmt.Sprintf("The tool %s of the MCP server %s cannot be used: %s.", tool.Visible(cut(d.Tool)), s.Name, d.Why)})
			}
		}
	}
	if n := len(unpinned); n > 0 {
		out = append(out, tool.Refusal{Server: s.Name, Why: fmt.Sprintf("%d tools of the MCP server %s are not pinned and so not offered: %s. Look at them with mgx mcp pin.", n, s.Name, few(unpinned))})
	}
	for _, name := range slices.Sorted(maps.Keys(gone)) {
		out = append(out, tool.Refusal{Server: s.Name, Tool: name, Why: fmt.Sprintf("The MCP server %s no longer has its pinned tool %s.", s.Name, tool.Visible(cut(name)))})
	}
	return out
}

func few(names []string) string {
	if len(names) > 10 {
		names = append(slices.Clone(names[:10]), "…")
	}
	return strings.Join(names, ", ")
}

func changedSentence(server, name string) string {
	return fmt.Sprintf("The MCP server %s describes its tool %s otherwise than it was pinned, so it is refused. Look at what changed with mgx mcp pin, and pin it again if it is right.", server, tool.Visible(cut(name)))
}

// Call calls a tool as it was when the run was prepared. Alarm hears of a tool
// that has become another. The error is ctx's.
func (s *Set) Call(ctx context.Context, ws *tool.Workspace, f tool.Foreign, args json.RawMessage, alarm func(mgx.SuspicionData)) (tool.Result, error) {
	c := s.servers[f.Server]
	if c == nil {
		return failed("The MCP server %s is not set up for this run.", f.Server), nil
	}
	l, tools, err := c.get(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return tool.Result{}, ctx.Err()
		}
		return failed("%s. Nothing was called.", sentence(err)), nil
	}
	if i := slices.IndexFunc(tools, func(d Described) bool { return d.Tool == f.Tool && d.Pin == f.Pin && d.offered.Name == f.Name }); i < 0 {
		alarm(mgx.SuspicionData{
			Severity: "high", Actor: string(s.run), What: "tampering", Blocked: true,
			Detail: changedSentence(f.Server, f.Tool),
		})
		return tool.Result{Status: tool.Denied, Text: "Refused: " + changedSentence(f.Server, f.Tool)}, nil
	}
	res, err := c.call(ctx, l, ws, f, args, s.key(ws.Step))
	res.Visits, res.Limit = l.program.fresh(), l.program.reached()
	return res, err
}

func sentence(err error) string { return strings.TrimSuffix(mgx.AsError(err).Message, ".") }

// key is the same for the same call of the same run, also when it is made again.
func (s *Set) key(step string) string {
	sum := sha256.Sum256([]byte(string(s.run) + "\x00" + step))
	return hex.EncodeToString(sum[:16])
}

func (c *connector) call(parent context.Context, l *connection, ws *tool.Workspace, f tool.Foreign, args json.RawMessage, key string) (tool.Result, error) {
	ctx, cancel := withTimeout(parent, c.server.Timeout, "it did not answer")
	defer cancel()
	l.renew()
	type answer struct {
		res *sdk.CallToolResult
		err error
	}
	got := make(chan answer, 1)
	go func() {
		res, err := l.session.CallTool(ctx, &sdk.CallToolParams{Meta: sdk.Meta{"mgx/idempotency-key": key}, Name: f.Tool, Arguments: args})
		got <- answer{res, err}
	}()
	var a answer
	select {
	case a = <-got:
	case <-ctx.Done():
		select { // a server that takes no more input holds up even its cancellation
		case a = <-got:
		case <-time.After(closeGrace):
			l.kill()
			a.err = ctx.Err()
		}
	}
	switch {
	case parent.Err() != nil:
		return tool.Result{}, parent.Err()
	case a.err == nil:
		return told(ws, a.res), nil
	case ctx.Err() != nil:
		return tool.Result{Status: tool.TimedOut, Text: fmt.Sprintf("The MCP server %s did not answer within %s. Whether the call took effect is not known.", f.Server, c.server.Timeout)}, nil
	}
	if wire, ok := errors.AsType[*jsonrpc.Error](a.err); ok && !errors.Is(a.err, sdk.ErrConnectionClosed) {
		return failed("The MCP server %s refused the call: %s", f.Server, tool.Clean(bound(wire.Message, 2000))), nil
	}
	why := c.why(ctx, l, a.err)
	l.broken.Store(true)
	return failed("The MCP server %s was lost during the call: %s Whether the call took effect is not known.", f.Server, why), nil
}

func failed(format string, args ...any) tool.Result {
	return tool.Result{Status: tool.Failure, Text: fmt.Sprintf(format, args...)}
}

func bound(s string, n int) string {
	if len(s) > n {
		s = strings.ToValidUTF8(s[:n], "") + "…"
	}
	return s
}
