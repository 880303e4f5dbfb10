package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"mgx"
	"mgx/internal/store/pgtest"
)

// faulty is a place for a server's data, and how to spoil it and put it right.
type faulty struct {
	args  []string // of mgx serve
	begin func(s *served)
	end   func()
}

// TestReadyUnderFaults takes from a real server what it needs, one thing after
// another. It must say in /health/ready what is wrong, refuse what it cannot
// store, keep what it said it stored, and work again when the fault is over.
func TestReadyUnderFaults(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		make  func(t *testing.T) faulty
		codes []string // one of these is in /health/ready, and answers writes
		slow  bool     // writes take long and succeed
	}{
		"disk full":          {make: fullDisk, codes: []string{"disk_full"}},
		"disk read-only":     {make: injected("pwrite64,faccessat,faccessat2:error=EROFS"), codes: []string{"data_read_only"}},
		"disk failing":       {make: injected("pwrite64,fsync,fdatasync:error=EIO"), codes: []string{"disk_error"}},
		"disk slow":          {make: injected("fsync,fdatasync:delay_enter=6000000"), codes: []string{"timed_out"}, slow: true},
		"PostgreSQL away":    {make: postgresAway, codes: []string{"database_unavailable"}},
		"PostgreSQL cut off": {make: postgresCutOff, codes: []string{"database_unavailable", "timed_out"}},
		"PostgreSQL full":    {make: postgresFull, codes: []string{"disk_full"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := c.make(t)
			l := newLab(t, labScript)
			s := l.serve("127.0.0.1:0", append(slices.Clone(f.args), "--workers", "0", "--webhook-allow", "192.0.2.1/32")...)
			if i := len(f.args) - 2; f.args[i] == "--data" {
				s.data = f.args[i+1]
			}
			w := s.hook()
			s.ready(nil)
			w.write(nil)
			f.begin(s)
			fault := true
			heal := func() {
				if fault {
					f.end()
				}
				fault = false
			}
			defer heal()
			if c.slow {
				answer := make(chan struct{})
				go func() { defer close(answer); w.write(nil) }()
				s.ready(c.codes)
				<-answer
			} else {
				w.write(c.codes)
				s.ready(c.codes)
			}
			heal()
			s.ready(nil)
			if got := w.read(); got < w.acked || got > w.tried {
				t.Errorf("%d was acknowledged and %d tried; %d is there", w.acked, w.tried, got)
			}
			w.write(nil)
			s.end()
			if t.Failed() {
				t.Log(s.errs.String())
			}
			l.must(append([]string{"verify"}, f.args...)...)
		})
	}
}

// impatient fails when there is no answer at all: the server says within 30 s
// what is the matter.
var impatient = &http.Client{Timeout: time.Minute}

// ready asks until the server is ready or, with codes, until it is not for one
// of these reasons, in words.
func (s *served) ready(codes []string) {
	s.l.t.Helper()
	var last string
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		resp, err := impatient.Get(s.url + "/health/ready")
		if err != nil {
			s.l.t.Fatalf("%v\n%s", err, s.errs.String())
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		last = string(body)
		var r struct {
			Status string
			Checks []struct{ Name, Status, Code, Detail string }
		}
		if err := json.Unmarshal(body, &r); err != nil || (resp.StatusCode == 200) != (r.Status == "ready") {
			s.l.t.Fatalf("%d %s: %v", resp.StatusCode, body, err)
		}
		if codes == nil && r.Status == "ready" {
			return
		}
		for _, check := range r.Checks {
			for _, code := range codes {
				if check.Code == code && check.Status == "failed" && len(check.Detail) > 10 {
					return
				}
			}
		}
	}
	s.l.t.Fatalf("want %q, got %s\n%s", codes, last, s.errs.String())
}

// hooked is a webhook whose description counts the writes.
type hooked struct {
	s            *served
	url, token   string
	acked, tried int
}

func (s *served) hook() *hooked {
	s.l.t.Helper()
	token, err := os.ReadFile(filepath.Join(s.data, "token"))
	if err != nil {
		s.l.t.Fatal(err)
	}
	w := &hooked{s: s, url: s.url + "/api/v1/webhooks", token: strings.TrimSpace(string(token))}
	status, body := w.do("POST", `{"url":"https://192.0.2.1/hook","types":["billing.*"],"description":"0"}`)
	var made struct{ Webhook struct{ ID string } }
	if err := json.Unmarshal(body, &made); status != 201 || err != nil {
		s.l.t.Fatalf("%d %s %v", status, body, err)
	}
	w.url += "/" + made.Webhook.ID
	return w
}

func (w *hooked) do(method, body string) (status int, answer []byte) {
	w.s.l.t.Helper()
	r, err := http.NewRequest(method, w.url, strings.NewReader(body))
	if err != nil {
		w.s.l.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+w.token)
	r.Header.Set("Content-Type", "application/json")
	resp, err := impatient.Do(r)
	if err != nil {
		w.s.l.t.Fatalf("%s: %v\n%s", method, err, w.s.errs.String())
	}
	defer resp.Body.Close()
	answer, err = io.ReadAll(resp.Body)
	if err != nil {
		w.s.l.t.Fatal(err)
	}
	return resp.StatusCode, answer
}

// write writes until it succeeds or, with codes, until it is refused with one of
// them. Each answer is a clear one.
func (w *hooked) write(codes []string) {
	w.s.l.t.Helper()
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); {
		w.tried++
		status, body := w.do("PATCH", fmt.Sprintf(`{"description":"%d"}`, w.tried))
		if status == 200 {
			if w.acked = w.tried; codes == nil {
				return
			}
			continue
		}
		var p struct{ Code, Detail string }
		if err := json.Unmarshal(body, &p); err != nil || status < 500 || p.Code == "internal" || len(p.Detail) < 20 {
			w.s.l.t.Fatalf("no clear problem: %d %s\n%s", status, body, w.s.errs.String())
		}
		if slices.Contains(codes, p.Code) {
			return
		}
	}
	w.s.l.t.Fatalf("writes are not answered with %q", codes)
}

func (w *hooked) read() int {
	w.s.l.t.Helper()
	status, body := w.do("GET", "")
	var got mgx.Webhook
	if err := json.Unmarshal(body, &got); status != 200 || err != nil {
		w.s.l.t.Fatalf("%d %s %v", status, body, err)
	}
	n, err := strconv.Atoi(got.Description)
	if err != nil {
		w.s.l.t.Fatal(err)
	}
	return n
}

// fullDisk has the data on a small disk, which is filled.
func fullDisk(t *testing.T) faulty {
	dir := mountTmpfs(t, "size=80m")
	ballast := filepath.Join(dir, "ballast")
	return faulty{
		args: []string{"--data", filepath.Join(dir, "data")},
		begin: func(*served) {
			f, err := os.Create(ballast)
			if err == nil {
				_, err = io.Copy(f, bytes.NewReader(make([]byte, 100<<20)))
				f.Close()
			}
			if err == nil {
				t.Error("the disk is not full")
			}
		},
		end: func() { os.Remove(ballast) },
	}
}

// injected has system calls of the server fail or last, as strace does it.
func injected(how string) func(t *testing.T) faulty {
	return func(t *testing.T) faulty {
		if _, err := exec.LookPath("strace"); err != nil {
			t.Skip("strace is not installed (Debian: apt-get install strace)")
		}
		calls, _, _ := strings.Cut(how, ":")
		var tracer *exec.Cmd
		return faulty{
			args: []string{"--data", t.TempDir()},
			begin: func(s *served) {
				tracer = exec.Command("strace", "-f", "-o", "/dev/null", "-e", "trace="+calls, "-e", "inject="+how, "-p", fmt.Sprint(s.cmd.Process.Pid))
				said, err := tracer.StderrPipe()
				if err == nil {
					err = tracer.Start()
				}
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { tracer.Process.Kill() })
				first, _ := bufio.NewReader(said).ReadString('\n')
				if !strings.Contains(first, "attached") {
					t.Skipf("this machine does not let strace look at a process: %s", first)
				}
				go io.Copy(io.Discard, said)
			},
			end: func() {
				tracer.Process.Signal(syscall.SIGINT)
				tracer.Wait()
			},
		}
	}
}

func postgresAway(t *testing.T) faulty {
	c := pgtest.New(t)
	return faulty{
		args:  []string{"--database", c.NewDatabase(t), "--data", t.TempDir()},
		begin: func(*served) { c.Stop(syscall.SIGINT) },
		end: func() {
			if err := c.Start(); err != nil {
				t.Error(err)
			}
		},
	}
}

func postgresCutOff(t *testing.T) faulty {
	p, address := pgtest.Through(t, pgtest.New(t).NewDatabase(t))
	return faulty{
		args:  []string{"--database", address, "--data", t.TempDir()},
		begin: func(*served) { p.Cut() },
		end:   p.Heal,
	}
}

// postgresFull has the database, not the server's own log, on a small disk.
func postgresFull(t *testing.T) faulty {
	c := pgtest.New(t)
	dir := mountTmpfs(t, "size=24m")
	address, space := c.NewDatabaseOn(t, dir)
	ballast := filepath.Join(space, "ballast")
	return faulty{
		args: []string{"--database", address, "--data", t.TempDir()},
		begin: func(*served) {
			f, err := os.Create(ballast)
			if err == nil {
				io.Copy(f, bytes.NewReader(make([]byte, 30<<20)))
				f.Close()
			}
		},
		end: func() { os.Remove(ballast) },
	}
}
