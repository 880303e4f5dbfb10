package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/spf13/cobra"

	"mgx/internal/api"
	"mgx/internal/event"
)

// aboutThisMachine are the commands that work on this machine only, each with the
// reason. What it does at a server is said where there is a way.
var aboutThisMachine = map[string]string{
	"mgx":               "prints its help",
	"mgx login":         "keeps on this machine what it gets at a server, which it names itself",
	"mgx logout":        "forgets that",
	"mgx demo":          "is the main job without anything else",
	"mgx serve":         "is the server",
	"mgx backup":        "copies the data directory, key and all tenants",
	"mgx restore":       "makes a data directory",
	"mgx verify":        "reads the database of the data directory over",
	"mgx doctor":        "looks at this machine",
	"mgx config":        "shows the settings of this machine",
	"mgx version":       "is this program's",
	"mgx sandbox":       "prints its help",
	"mgx sandbox run":   "runs a program on this machine",
	"mgx models prices": "shows the price lists of this machine",
	"mgx secrets rekey": "works on the file of the key ring, which no server hands out",
	"mgx mcp":           "reads the file of servers of this machine",
	"mgx mcp list":      "reads that file",
	"mgx mcp pin":       "writes that file",
	"mgx audit check":   "reads a file of this machine",
}

// atAServer are arguments with which commands have something to ask a server; the
// others need none.
var atAServer = map[string]string{
	"run":                        "task --project shop",
	"resume":                     "RUN",
	"cancel":                     "RUN",
	"approve":                    "RUN",
	"steer":                      "RUN words",
	"pause":                      "RUN",
	"fork":                       "RUN --at 3",
	"show":                       "RUN",
	"diff":                       "RUN",
	"get":                        "RUN",
	"agents show":                "reviewer",
	"events schemas":             "run.started",
	"retain set":                 "agent=30",
	"sessions end":               "ses_1",
	"password":                   "--password-stdin",
	"artifacts":                  "RUN",
	"artifacts get":              "RUN plan.json",
	"executions show":            "exec_01JDT0000000000000000000R1",
	"tasks show":                 "task_01JDT0000000000000000000R1",
	"replay":                     "RUN",
	"review":                     "RUN --comment main.go:3 words",
	"policy show":                "ask",
	"policy test":                "--run RUN",
	"models test":                "a/b",
	"budget set":                 "--limit 5",
	"budget rm":                  "day",
	"budget show":                "day",
	"webhooks add":               "https://example.com",
	"webhooks change":            "whk --description words",
	"webhooks remove":            "whk",
	"webhooks enable":            "whk",
	"webhooks disable":           "whk",
	"webhooks rotate":            "whk",
	"webhooks test":              "whk",
	"webhooks retry":             "whk --dead",
	"webhooks deliveries":        "whk",
	"consumers dead":             "metrics",
	"consumers retry":            "metrics",
	"consumers discard":          "metrics evt_1",
	"members invite":             "jo@example.com",
	"invitations accept":         "inv_1",
	"invitations decline":        "inv_1",
	"members reset":              "jo@example.com",
	"members role":               "jo@example.com viewer",
	"members remove":             "jo@example.com",
	"members invitations revoke": "inv_1",
	"roles show":                 "builder",
	"roles create":               "builder --rules -",
	"roles change":               "builder --description x",
	"roles delete":               "builder",
	"workspaces create":          "shop",
	"workspaces quota":           "ws_default",
	"workspaces rename":          "ws_default shop",
	"keys create":                "ci",
	"keys revoke":                "key",
	"keys rotate":                "key",
	"project":                    "--project shop",
	"project show":               "--project shop",
	"project add":                "/srv/shop --name shop",
	"project rename":             "a b",
	"project remove":             "a",
	"project set":                "policy ask --project shop",
	"project unset":              "policy --project shop",
	"secrets set":                "openai",
	"secrets remove":             "openai",
	"audit proof":                "1",
	"erase":                      "--run RUN --yes",
	"export":                     "none.jsonl --run RUN",
	"templates show":             "nightly",
	"templates save":             "nightly --task words",
	"templates delete":           "nightly",
}

// Every command works at a server, by routes of the document of the API, or it is
// listed with the reason why it does not. So a new one cannot be forgotten.
func TestEveryCommandHasItsPlace(t *testing.T) {
	t.Parallel()
	routes := routesOf(t)
	var mu sync.Mutex
	var asked []string
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		asked = append(asked, r.Method+" "+r.URL.Path)
		mu.Unlock()
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusNotFound)
		io.WriteString(w, `{"status":404,"code":"not_found","detail":"there is nothing here"}`)
	}))
	defer web.Close()
	home, known := t.TempDir(), map[string]bool{}
	each((&cli{out: io.Discard, err: io.Discard}).command(), func(cmd *cobra.Command) {
		path := cmd.CommandPath()
		known[path] = true
		local := !there(cmd)
		if why := aboutThisMachine[path]; local != (why != "") {
			t.Errorf("%s works at a server: %v; the reason why not: %q", path, !local, why)
		}
		if local {
			return
		}
		c := &cli{in: strings.NewReader("permit (\nprincipal, action, resource);\n"), out: io.Discard, err: io.Discard, getenv: func(name string) string {
			return map[string]string{"HOME": home, "PATH": "/usr/bin:/bin"}[name]
		}}
		name := strings.TrimPrefix(path, "mgx ")
		line := strings.ReplaceAll(name+" "+atAServer[name], "RUN", "run_01JDT0000000000000000000R1")
		root := c.command()
		root.SetArgs(append(strings.Fields(line), "--server", web.URL, "--token", "mgx_x", "--data", filepath.Join(home, "data")))
		asked = nil
		err := root.ExecuteContext(t.Context())
		if len(asked) == 0 {
			t.Errorf("mgx %s asks the server nothing: %v; say in atAServer how it does", line, err)
		}
		for _, request := range asked {
			if !matches(routes, request) {
				t.Errorf("mgx %s asks for %s, which is not in the document of the API", line, request)
			}
		}
	})
	listed := documentedThere(t)
	for _, cmd := range (&cli{out: io.Discard, err: io.Discard}).command().Commands() {
		if there(cmd) != listed[cmd.Name()] {
			t.Errorf("docs/server.md says that %s works at a server: %v", cmd.Name(), listed[cmd.Name()])
		}
		delete(listed, cmd.Name())
	}
	for name := range listed {
		t.Errorf("docs/server.md lists %s, and there is no such command", name)
	}
	for path := range aboutThisMachine {
		if !known[path] {
			t.Errorf("there is no command %s", path)
		}
	}
}

// each visits the commands that do something.
func each(cmd *cobra.Command, f func(*cobra.Command)) {
	if cmd.Runnable() && !cmd.Hidden {
		f(cmd)
	}
	for _, sub := range cmd.Commands() {
		each(sub, f)
	}
}

// there reports whether a command works at a server.
func there(cmd *cobra.Command) bool {
	for up := cmd; up != nil; up = up.Parent() {
		if mark, ok := up.Annotations[alsoThere]; ok {
			return mark != "no"
		}
	}
	return false
}

// documentedThere are the commands that docs/server.md lists as those that work at a
// server too: the words in ticks of that list, up to those said to be about this machine.
func documentedThere(t *testing.T) map[string]bool {
	t.Helper()
	text, err := os.ReadFile("../../docs/server.md")
	if err != nil {
		t.Fatal(err)
	}
	_, list, found := strings.Cut(string(text), "**At a server too**:")
	list, _, ends := strings.Cut(list, "; of these")
	if !found || !ends {
		t.Fatal("docs/server.md has no list of the commands that work at a server")
	}
	all := map[string]bool{}
	for i, word := range strings.Split(list, "`") {
		if i%2 == 1 {
			all[word] = true
		}
	}
	return all
}

// routesOf are those of the API, as its document tells of them: METHOD /path/{id}.
func routesOf(t *testing.T) (all []string) {
	t.Helper()
	contracts, err := event.NewRegistry()
	if err != nil {
		t.Fatal(err)
	}
	hub := event.NewHub(event.HubOptions{Source: struct{ event.Source }{}, Epoch: "e", Key: make([]byte, 16), Authorize: event.OneWorkspace("ws")})
	text, err := api.New(api.Options{Hub: hub, Contracts: contracts, Token: "x"}).Document()
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Paths map[string]map[string]any
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	for path, methods := range doc.Paths {
		for method := range methods {
			all = append(all, strings.ToUpper(method)+" "+path)
		}
	}
	return all
}

func matches(routes []string, request string) bool {
	parts := strings.Split(request, "/")
	for _, r := range routes {
		ok, wild := true, strings.Split(r, "/")
		for i := 0; ok && i < len(wild); i++ {
			ok = len(wild) == len(parts) && (strings.HasPrefix(wild[i], "{") || wild[i] == parts[i])
		}
		if ok {
			return true
		}
	}
	return false
}
