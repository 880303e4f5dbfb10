package mcp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"mgx"
	"mgx/internal/tool"
)

// Bounds on the way to one server.
const (
	startTimeout = 30 * time.Second // until it has answered and listed its tools
	closeGrace   = 2 * time.Second
	maxStarts    = 4        // in one process working on the run: once, and three times more
	maxMessage   = 4 << 20  // bytes of one message
	maxFlood     = 16 << 20 // bytes between two calls, of whatever it sends
	maxAsked     = 64       // requests of its own between two calls, all of which are refused
)

// CodeUnavailable is the code of errors about a server that cannot be had.
const CodeUnavailable = "mcp_unavailable"

// connector keeps one server connected. The connection is made when it is first
// needed, and again after it broke, up to a number of times.
type connector struct {
	server  mgx.MCPServer
	options Options

	mu     sync.Mutex // held while a connection is made or looked at
	starts int
	live   *connection
}

// connection is one session with a server, and what it listed when it began.
type connection struct {
	session *sdk.ClientSession
	program *program    // nil: the server is an address
	idle    func()      // gives up what an address keeps open
	stale   atomic.Bool // it says that its tools have changed
	asked   atomic.Int64
	broken  atomic.Bool
	tools   []Described // under the connector's mu
}

// get returns the live connection, or makes one, with what it lists now. Calls side by
// side may find another list at once, so nobody else reads that of the connection.
func (c *connector) get(ctx context.Context) (*connection, []Described, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if l := c.live; l != nil && !l.broken.Load() {
		if !l.stale.Swap(false) {
			return l, l.tools, nil
		}
		if err := c.relist(ctx, l); err == nil {
			return l, l.tools, nil
		}
	}
	c.drop()
	if c.starts >= maxStarts {
		return nil, nil, mgx.Errorf(mgx.KindConfig, CodeUnavailable, "the MCP server %s failed %d times and is not started again in this run", c.server.Name, c.starts)
	}
	c.starts++
	l, err := c.connect(ctx)
	if err != nil {
		return nil, nil, err
	}
	c.live = l
	return l, l.tools, nil
}

func (c *connector) relist(ctx context.Context, l *connection) error {
	ctx, cancel := withTimeout(ctx, c.options.start, "it did not list its tools")
	defer cancel()
	listed, err := list(ctx, l.session)
	if err != nil {
		return err
	}
	l.tools = describe(c.server, listed)
	return nil
}

func (c *connector) connect(ctx context.Context) (l *connection, err error) {
	ctx, cancel := withTimeout(ctx, c.options.start, "it did not answer")
	defer cancel()
	l = &connection{idle: func() {}}
	transport, err := c.transport(l)
	if err != nil {
		return nil, err
	}
	unblock := context.AfterFunc(ctx, func() { l.kill() }) // a program that reads nothing would hold up whoever writes
	defer unblock()
	var listed []*sdk.Tool
	if l.session, err = c.client(l).Connect(ctx, transport, nil); err == nil {
		listed, err = list(ctx, l.session)
	}
	if err != nil {
		err = c.explain(ctx, l, err)
		l.close()
		return nil, err
	}
	l.tools = describe(c.server, listed)
	return l, nil
}

func (c *connector) transport(l *connection) (sdk.Transport, error) {
	if c.server.URL != "" {
		t, err := c.remote()
		if err != nil {
			return nil, err
		}
		l.idle = t.HTTPClient.CloseIdleConnections
		return t, nil
	}
	p, err := c.start()
	if err != nil {
		return nil, err
	}
	l.program = p
	return p.transport(), nil
}

// client offers servers nothing: whatever they ask for but an answer to a ping is
// refused, and one that goes on asking is left.
func (c *connector) client(l *connection) *sdk.Client {
	client := sdk.NewClient(&sdk.Implementation{Name: "mgx", Version: c.options.Version}, &sdk.ClientOptions{
		Capabilities:           &sdk.ClientCapabilities{},
		MultiRoundTrip:         &sdk.MultiRoundTripOptions{Disabled: true},
		ToolListChangedHandler: func(context.Context, *sdk.ToolListChangedRequest) { l.stale.Store(true) },
	})
	client.AddReceivingMiddleware(func(next sdk.MethodHandler) sdk.MethodHandler {
		return func(ctx context.Context, method string, r sdk.Request) (sdk.Result, error) {
			if strings.HasPrefix(method, "notifications/") {
				return next(ctx, method, r)
			}
			if l.asked.Add(1) > maxAsked {
				l.kill()
			}
			if method == "ping" {
				return next(ctx, method, r)
			}
			return nil, &jsonrpc.Error{Code: jsonrpc.CodeMethodNotFound, Message: "this client offers nothing to servers"}
		}
	})
	return client
}

// explain makes of a failure to connect a sentence for whoever set the server up.
func (c *connector) explain(ctx context.Context, l *connection, err error) error {
	if own, ok := errors.AsType[*mgx.Error](err); ok {
		return own
	}
	why := c.why(ctx, l, err)
	return mgx.Errorf(mgx.KindConfig, CodeUnavailable, "the MCP server %s cannot be reached: %s", c.server.Name, why)
}

// why says, safe to show, what went wrong with a server.
func (c *connector) why(ctx context.Context, l *connection, err error) string {
	for _, known := range []error{errPrivate, errPlain, errRedirect, errFlood} {
		if errors.Is(err, known) || strings.Contains(err.Error(), known.Error()) { // the SDK does not wrap all
			return known.Error()
		}
	}
	if l.program != nil && l.program.out.flooded() {
		return errFlood.Error()
	}
	if l.asked.Load() > maxAsked {
		return fmt.Sprintf("it asked for more than %d things that it is not given", maxAsked)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx).Error()
	}
	if l.program != nil {
		l.program.settle()
		if how := l.program.ended(); how != "" {
			return how
		}
	}
	return tool.Clean(cut(plainly(err)))
}

// plainly is an error without the words of the SDK and of the network's packages.
func plainly(err error) string {
	if name, ok := errors.AsType[*net.DNSError](err); ok {
		return "there is no address for the name " + name.Name
	}
	if number, ok := errors.AsType[syscall.Errno](err); ok {
		return number.Error()
	}
	text := err.Error()
	if _, said, ok := strings.Cut(text, "rejected by transport: "); ok {
		text = said
	}
	return text
}

func (c *connector) drop() {
	if c.live != nil {
		c.live.close()
		c.live = nil
	}
}

func (c *connector) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drop()
}

// kill breaks the connection off without waiting.
func (l *connection) kill() {
	l.broken.Store(true)
	if l.program != nil {
		l.program.kill()
	}
	l.idle()
}

// close ends the session, the program at once and an address with a good-bye that
// may not take long.
func (l *connection) close() {
	l.broken.Store(true)
	if l.program != nil {
		_ = l.program.Close()
	}
	if l.session != nil {
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = l.session.Close() // it is of no use any more, whatever it says
		}()
		select {
		case <-done:
		case <-time.After(closeGrace):
		}
	}
	l.idle()
}

// renew begins the counts of what a server may send, before each call.
func (l *connection) renew() {
	l.asked.Store(0)
	if l.program != nil {
		l.program.out.renew()
	}
}
