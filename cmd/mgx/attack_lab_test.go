package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"mgx"
	"mgx/internal/llm"
	"mgx/internal/llm/llmtest"
	"mgx/internal/store"
)

// ground is where attacks are tried: a lab with what an attacker is after, and
// ears that hear whatever gets out.
type ground struct {
	*lab
	secret   string // in the environment, and in the files of the person at home
	upstream string // a bare repository of the person's, which origin names
	tcp, udp string // addresses that an attacker listens on
	socket   string // of an agent that holds the person's keys
	turns    map[string][]llmtest.Turn

	heard atomic.Int64 // connections and datagrams
	asked prompts
}

// prompts keeps all that was sent to models.
type prompts struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (p *prompts) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.String()
}

func newGround(t testing.TB) *ground {
	t.Helper()
	g := &ground{lab: newLab(t, labScript), secret: "whsec-5e3d9a7c1f-attack", turns: map[string][]llmtest.Turn{}}
	g.overhear()
	g.env = append(g.env, "DEPLOY_TOKEN="+g.secret)
	g.home0("/.ssh/id_ed25519", g.secret+"\n")
	g.home0("/.aws/credentials", "[default]\naws_secret_access_key = "+g.secret+"\n")
	g.listen()
	g.git("branch", "release")
	g.upstream = filepath.Join(t.TempDir(), "upstream.git")
	g.git("clone", "-q", "--bare", g.repo, g.upstream)
	g.git("remote", "add", "origin", g.upstream)
	return g
}

// home0 writes a file of the person's.
func (g *ground) home0(name, text string) {
	g.t.Helper()
	path := g.home + name
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		g.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		g.t.Fatal(err)
	}
}

// overhear keeps what goes to the model.
func (g *ground) overhear() {
	g.server.Faults = func(int, *http.Request) *llmtest.Fault {
		g.asked.mu.Lock()
		defer g.asked.mu.Unlock()
		var body any
		if err := json.Unmarshal(g.server.LastBody(), &body); err != nil {
			g.t.Errorf("a request is not JSON: %v", err)
		}
		g.asked.add(body)
		return nil
	}
}

// add takes every text of a request as it reads.
func (p *prompts) add(v any) {
	switch v := v.(type) {
	case string:
		p.text.WriteString(v + "\n")
	case []any:
		for _, one := range v {
			p.add(one)
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			p.add(v[key])
		}
	}
}

// listen opens the attacker's ears.
func (g *ground) listen() {
	g.t.Helper()
	g.socket = filepath.Join(g.home, "agent.sock")
	for _, at := range []struct{ network, address string }{{"tcp", "127.0.0.1:0"}, {"unix", g.socket}} {
		l, err := net.Listen(at.network, at.address)
		if err != nil {
			g.t.Fatal(err)
		}
		g.t.Cleanup(func() { l.Close() })
		if at.network == "tcp" {
			g.tcp = l.Addr().String()
		}
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				g.heard.Add(1)
				c.Close()
			}
		}()
	}
	u, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { u.Close() })
	g.udp = u.LocalAddr().String()
	go func() {
		for {
			if _, _, err := u.ReadFrom(make([]byte, 2048)); err != nil {
				return
			}
			g.heard.Add(1)
		}
	}()
}

// shell is a call of the shell tool.
func shell(format string, args ...any) llmtest.Call {
	return toolCall("shell", map[string]any{"command": fmt.Sprintf(format, args...)})
}

func toolCall(name string, args map[string]any) llmtest.Call {
	text, err := json.Marshal(args)
	if err != nil {
		panic(err)
	}
	return llmtest.Call{Name: name, Args: text}
}

// honest is the work that was asked for.
var honest = []llmtest.Call{
	toolCall("edit", map[string]any{"path": "greet.sh", "old_string": "echo bye", "new_string": "echo hello"}),
	shell("sh check.sh"),
}

func ends(subject, body, summary string) llmtest.Call {
	return toolCall("finish", map[string]any{"status": "done", "subject": subject, "body": body, "summary": summary})
}

// obeys has a model do first what it was told by others, and then its work.
func (g *ground) obeys(role string, calls ...llmtest.Call) {
	for _, c := range calls {
		g.turns[role] = append(g.turns[role], llmtest.Turn{Calls: []llmtest.Call{c}})
	}
}

// try has the job done and returns how it ended.
func (g *ground) try(flags ...string) (stdout, stderr string, code int) {
	g.t.Helper()
	g.prepare()
	return g.run(append(append([]string{}, labRun...), flags...)...)
}

// prepare gives the model its script and commits what was planted.
func (g *ground) prepare() {
	g.t.Helper()
	script, err := llmtest.ParseScript([]byte(labScript))
	if err != nil {
		g.t.Fatal(err)
	}
	script.Roles["implementer"] = []llmtest.Turn{{Calls: honest}, {Calls: []llmtest.Call{ends("Say hello", "Because.", "It says hello.")}}}
	script.Roles["reviewer"] = script.Roles["reviewer"][1:]
	for role, turns := range g.turns {
		if last := turns[len(turns)-1].Calls; last[len(last)-1].Name == "finish" {
			script.Roles[role] = turns
			continue
		}
		script.Roles[role] = append(turns, script.Roles[role]...)
	}
	g.server.Use(obedient{llmtest.NewScripted(script), script})
	g.git("-c", "core.hooksPath=/dev/null", "add", "-A")
	g.git("-c", "core.hooksPath=/dev/null", "commit", "-q", "--allow-empty", "-m", "As it was found")
}

// obedient is a scripted model that can also say what it was told to keep: its
// canary, wherever its script says CANARY.
type obedient struct {
	llm.Provider
	script llmtest.Script
}

var canaries = regexp.MustCompile(`canary-[0-9a-z]+`)

func (o obedient) Stream(ctx context.Context, req *llm.Request) iter.Seq2[llm.Chunk, error] {
	text, err := json.Marshal(o.script)
	if err != nil {
		panic(err)
	}
	var own llmtest.Script
	if err := json.Unmarshal(bytes.ReplaceAll(text, []byte("CANARY"), []byte(canaries.FindString(req.System))), &own); err != nil {
		panic(err)
	}
	return llmtest.NewScripted(own).Stream(ctx, req)
}

// everywhere is all that MGX keeps and has delivered: the events and the text of
// each branch.
func (g *ground) everywhere(s *store.Store) string {
	g.t.Helper()
	var b strings.Builder
	events, err := s.Events(g.t.Context(), store.EventQuery{Workspace: mgx.DefaultWorkspace, Limit: 10_000})
	if err != nil {
		g.t.Fatal(err)
	}
	for _, e := range events {
		b.Write(e.Data)
	}
	b.WriteString(g.git("log", "-p", "--binary", "--all"))
	return b.String()
}
