package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// server is MGX in a process of its own, with a project and a key for every user.
type server struct {
	process
	target
	home    string
	models  *httptest.Server
	project string

	runs  []string // that were made so far
	wrong string   // the first failure
}

func startServer(ctx context.Context, binary string, keys, runs int) (*server, error) {
	home, err := os.MkdirTemp("", "mgx-load-")
	if err != nil {
		return nil, err
	}
	s := &server{home: home, models: httptest.NewServer(http.HandlerFunc(listModel))}
	err = s.begin(ctx, binary, keys, runs)
	if err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

func (s *server) begin(ctx context.Context, binary string, keys, runs int) error {
	var hello struct {
		URL       string `json:"url"`
		TokenFile string `json:"token_file"`
	}
	s.env = []string{"OPENAI_BASE_URL=" + s.models.URL + "/v1"}
	line, err := s.start(ctx, s.home, binary, "serve", "--json", "--listen", "127.0.0.1:0", "--workers", "0", "--rate-limits", "off")
	if err != nil {
		return err
	}
	if err := json.Unmarshal(line, &hello); err != nil {
		return fmt.Errorf("the server says %q: %w", line, err)
	}
	token, err := os.ReadFile(hello.TokenFile)
	if err != nil {
		return err
	}
	s.url = hello.URL
	return s.furnish(ctx, strings.TrimSpace(string(token)), keys, runs)
}

// listModel is a provider that has a model which nobody calls.
func listModel(w http.ResponseWriter, _ *http.Request) {
	io.WriteString(w, `{"object":"list","data":[{"id":"none","object":"model"}]}`)
}

// furnish makes a repository, its project, keys, and runs to read.
func (s *server) furnish(ctx context.Context, token string, keys, runs int) error {
	repo := filepath.Join(s.home, "repo")
	git := exec.CommandContext(ctx, "sh", "-c", `git init -q "$1" && cd "$1" && git -c user.name=l -c user.email=l@localhost commit -q --allow-empty -m first`, "sh", repo)
	if out, err := git.CombinedOutput(); err != nil {
		return fmt.Errorf("git: %w: %s", err, out)
	}
	var project struct {
		ID string `json:"id"`
	}
	if err := s.post(ctx, token, s.url+"/api/v1/projects", map[string]any{"name": "load", "path": repo}, &project); err != nil {
		return err
	}
	s.project = project.ID
	for i := range keys {
		var key struct {
			Secret string `json:"secret"`
		}
		if err := s.post(ctx, token, s.url+"/api/v1/keys", map[string]any{"name": fmt.Sprint("user ", i), "scopes": []string{"*"}}, &key); err != nil {
			return err
		}
		s.keys = append(s.keys, key.Secret)
	}
	s.reads, s.create = s.read, s.task
	for range runs {
		path, body := s.task()
		var made struct {
			ID string `json:"id"`
		}
		if err := s.post(ctx, token, s.url+path, json.RawMessage(body), &made); err != nil {
			return err
		}
		s.runs = append(s.runs, made.ID)
	}
	return nil
}

// read is what people look at: mostly lists and single runs.
func (s *server) read() string {
	switch n := rand.IntN(10); {
	case n < 4:
		return "/api/v1/runs?limit=20"
	case n < 8:
		return "/api/v1/runs/" + s.runs[rand.IntN(len(s.runs))]
	case n < 9:
		return "/api/v1/events?limit=50"
	}
	return "/api/v1/budgets"
}

func (s *server) task() (path, body string) {
	return "/api/v1/tasks", fmt.Sprintf(`{"task":"Add a test for case %d of the parser.","project_id":%q,"model":"openai/none"}`, rand.IntN(1_000_000), s.project)
}

// load has the users of a phase at work on the server.
func (s *server) load(ctx context.Context, p phase) (result, error) {
	var t tally
	before, began := s.cpu(), time.Now()
	s.drive(ctx, p, &t)
	r := t.result()
	r.cpu, r.took, r.memory = s.cpu()-before, time.Since(began), s.memory()
	if s.wrong == "" {
		s.wrong = t.first
	}
	return r, ctx.Err()
}

func (s *server) stop() {
	s.end()
	s.models.Close()
	os.RemoveAll(s.home)
}

// post makes one of the things that users will work with.
func (s *server) post(ctx context.Context, token, url string, body, into any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(text))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode >= 300 {
		return fmt.Errorf("%s: %s %s", url, resp.Status, answer)
	}
	return json.Unmarshal(answer, into)
}

// process is a child that says on its first line where it is.
type process struct {
	cmd *exec.Cmd
	env []string // besides home and path
}

// startWait is how long a child may take to say something.
const startWait = 30 * time.Second

func (p *process) start(ctx context.Context, home, name string, args ...string) (first []byte, err error) {
	p.cmd = exec.CommandContext(ctx, name, args...)
	p.cmd.Env = append([]string{"HOME=" + home, "PATH=" + os.Getenv("PATH")}, p.env...)
	p.cmd.Cancel = func() error { return p.cmd.Process.Signal(syscall.SIGTERM) }
	p.cmd.WaitDelay = 5 * time.Second
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	var said bytes.Buffer
	p.cmd.Stderr = &said
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	late := time.AfterFunc(startWait, func() { p.cmd.Process.Kill() })
	defer late.Stop()
	in := bufio.NewReader(out)
	if first, err = in.ReadBytes('\n'); err != nil {
		p.end()
		return nil, fmt.Errorf("%s does not start: %w: %s", name, err, said.Bytes())
	}
	go io.Copy(io.Discard, in)
	return first, nil
}

func (p *process) end() {
	if p.cmd == nil || p.cmd.Process == nil {
		return
	}
	p.cmd.Process.Signal(syscall.SIGTERM)
	p.cmd.Wait()
}

// ticks is the kernel's unit of CPU time in /proc: USER_HZ, 100 on every platform
// that Linux has had for long.
const ticks = 100

// cpu is what the process has used, with children that it waited for.
func (p *process) cpu() time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	var sum time.Duration
	for _, f := range strings.Fields(rest)[11:15] {
		n, _ := strconv.ParseInt(f, 10, 64)
		sum += time.Duration(n) * time.Second / ticks
	}
	return sum
}

// memory is what of the process is in memory, in bytes.
func (p *process) memory() int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	pages, _ := strconv.ParseInt(strings.Fields(string(text))[1], 10, 64)
	return pages * int64(os.Getpagesize())
}
