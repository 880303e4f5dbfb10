package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"mgx"
	"mgx/client"
	"mgx/internal/store"
	"mgx/internal/store/pgtest"
)

// TestSoak kills servers, whoever numbers the log among them, writers and
// readers, again and again under load, and on PostgreSQL ends connections and
// restarts the server. Every reader that resumes must have got every event of the
// log once, in its order, and the log must have all that was acknowledged.
// MGX_SOAK=1 goes on for minutes.
func TestSoak(t *testing.T) {
	if role := os.Getenv(soakRole); role != "" {
		soakChild(role)
		return
	}
	t.Parallel()
	for name, servers := range map[string]int{"SQLite": 2, "PostgreSQL": 3} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSoak(t, servers)
			if name == "PostgreSQL" {
				s.cluster = pgtest.New(t)
				s.database = s.cluster.NewDatabase(t)
			}
			s.run()
		})
	}
}

type soak struct {
	*lab
	cluster  *pgtest.Cluster // nil: SQLite
	database string
	long     bool

	servers []*served
	urls    []string
	dirs    []string
	writers []*soakProcess
	readers []*soakReader
	remote  []*soakProcess // readers in processes of their own

	mu    sync.Mutex
	acked map[mgx.EventID]bool
	head  atomic.Int64 // of the log, when nobody writes any more
	did   map[string]int
}

const soakBearer = "soak-soak-soak-soak-soak-soak"

func newSoak(t *testing.T, servers int) *soak {
	s := &soak{lab: newLab(t, labScript), long: os.Getenv("MGX_SOAK") != "", acked: map[mgx.EventID]bool{}, did: map[string]int{}}
	s.servers, s.dirs, s.urls = make([]*served, servers), make([]string, servers), make([]string, servers)
	return s
}

func (s *soak) run() {
	t := s.t.(*testing.T)
	rounds, readers, remote, writers := 10, 4, 2, 2
	if s.long {
		readers, remote, writers = 16, 6, 4
	}
	for i := range s.servers {
		if s.dirs[i] = s.data(); s.cluster != nil {
			s.dirs[i] = t.TempDir()
		}
		os.MkdirAll(s.dirs[i], 0o700)
		if err := os.WriteFile(filepath.Join(s.dirs[i], "token"), []byte(soakBearer), 0o600); err != nil {
			t.Fatal(err)
		}
		s.urls[i] = "http://" + quietAddress(t)
		s.start(i)
	}
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Minute)
	defer stop()
	for range writers {
		s.writers = append(s.writers, s.spawn("writer", func() []string { return []string{s.at("writer")} }, s.heard))
	}
	var all sync.WaitGroup
	for range readers {
		r := &soakReader{s: s, random: rand.New(rand.NewPCG(rand.Uint64(), 1))}
		s.readers = append(s.readers, r)
		all.Go(func() { r.follow(ctx) })
	}
	for range remote {
		r := &soakReader{s: s}
		s.readers = append(s.readers, r)
		s.remote = append(s.remote, s.spawn("reader", func() []string { return append([]string{r.resumeAt()}, s.urls...) }, r.hear))
	}
	s.waitForEvents(50)
	if s.cluster != nil {
		s.kill(s.leader()) // for sure once
	}
	for start := time.Now(); s.long && time.Since(start) < 4*time.Minute || !s.long && rounds > 0; rounds-- {
		time.Sleep(time.Duration(100+rand.N(300)) * time.Millisecond)
		s.harm()
	}
	before := s.events()
	s.waitForEvents(before + 20)
	for _, w := range s.writers {
		w.end()
	}
	s.settle(ctx)
	all.Wait()
	for _, p := range s.remote {
		p.end()
	}
	s.compare()
	for i := range s.servers {
		s.servers[i].end()
	}
	args := []string{"verify"}
	if s.cluster != nil {
		args = append(args, "--database", s.database)
	}
	s.must(args...)
	t.Logf("%d events, %d acknowledged to writers, %d readers (%d of them processes); done to them: %v", s.head.Load(), len(s.acked), len(s.readers), len(s.remote), s.did)
}

// quietAddress is an address that no outgoing connection takes while its server
// is down: its port is below those that the system gives out.
func quietAddress(t *testing.T) string {
	t.Helper()
	for range 100 {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 15000+rand.N(15000)))
		if err == nil {
			defer l.Close()
			return l.Addr().String()
		}
	}
	t.Fatal("no free port")
	return ""
}

// at is where the database is, for a process that is known there by a name.
func (s *soak) at(name string) string {
	if s.cluster == nil {
		return filepath.Join(s.data(), "mgx.db")
	}
	return s.database + "&application_name=" + name
}

func (s *soak) start(i int) {
	s.t.Helper()
	args := []string{"--workers", "0", "--data", s.dirs[i]}
	if s.cluster != nil {
		args = append(args, "--database", s.at(fmt.Sprint("server", i)))
	}
	s.servers[i] = s.serve(strings.TrimPrefix(s.urls[i], "http://"), args...)
}

// leader is the index of the server that numbers the log, -1 if a writer does.
func (s *soak) leader() int {
	name := pgtest.SQL(s.t, s.database, `SELECT a.application_name FROM pg_stat_activity a JOIN pg_locks l USING (pid), sequencer q
		WHERE a.datname = current_database() AND l.locktype = 'advisory' AND l.granted AND l.objid = q.term::oid AND l.database = a.datid LIMIT 1`)
	for i := range s.servers {
		if name == fmt.Sprint("server", i) {
			return i
		}
	}
	return -1
}

// kill kills a server, or the writer that numbers the log, and starts another.
func (s *soak) kill(i int) {
	s.t.Helper()
	if i < 0 {
		for _, w := range s.writers {
			w.kill()
		}
		s.did["sequencer killed, in a writer"]++
		return
	}
	if s.cluster != nil && s.leader() == i {
		s.did["sequencer killed, in a server"]++
	}
	s.servers[i].kill()
	s.did["server killed"]++
	time.Sleep(rand.N(50 * time.Millisecond))
	s.start(i)
}

// harm does one of the things that happen.
func (s *soak) harm() {
	s.t.Helper()
	what := rand.N(10)
	switch {
	case what < 2:
		s.kill(rand.N(len(s.servers)))
	case what < 4 && s.cluster != nil:
		s.kill(s.leader())
	case what < 4:
		s.kill(rand.N(len(s.servers)))
	case what < 6:
		s.remote[rand.N(len(s.remote))].kill()
		s.did["reader killed"]++
	case what < 7:
		s.writers[rand.N(len(s.writers))].kill()
		s.did["writer killed"]++
	case s.cluster == nil:
		s.servers[rand.N(len(s.servers))].cmd.Process.Signal(syscall.SIGSTOP)
		time.Sleep(rand.N(200 * time.Millisecond))
		for _, other := range s.servers {
			other.cmd.Process.Signal(syscall.SIGCONT)
		}
		s.did["server stopped for a moment"]++
	case what < 9:
		pgtest.SQL(s.t, s.database, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND random() < 0.5`)
		s.did["connections ended"]++
	default:
		s.cluster.Stop([]syscall.Signal{syscall.SIGINT, syscall.SIGQUIT}[rand.N(2)])
		if err := s.cluster.Start(); err != nil {
			s.t.Fatal(err)
		}
		s.did["PostgreSQL restarted"]++
	}
}

func (s *soak) events() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.acked)
}

// heard takes note of what a writer says.
func (s *soak) heard(line string) {
	if id, ok := strings.CutPrefix(line, "committed "); ok {
		s.mu.Lock()
		s.acked[mgx.EventID(id)] = true
		s.mu.Unlock()
	}
}

func (s *soak) waitForEvents(n int) {
	s.t.Helper()
	for end := time.Now().Add(2 * time.Minute); s.events() < n; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			s.t.Fatalf("%d events were acknowledged, want %d: nothing goes on", s.events(), n)
		}
	}
}

func (s *soak) open() *store.Store {
	s.t.Helper()
	db, err := store.Open(s.t.Context(), s.at("test"), store.Options{ReadOnly: true})
	if err != nil {
		s.t.Fatal(err)
	}
	return db
}

// settle tells the readers how far to read once the log grows no more, and waits
// for them.
func (s *soak) settle(ctx context.Context) {
	s.t.Helper()
	db := s.open()
	defer db.Close()
	for s.cluster != nil && pgtest.SQL(s.t, s.database, `SELECT COUNT(*) FROM outbox`) != "0" {
		if time.Sleep(50 * time.Millisecond); ctx.Err() != nil {
			s.t.Fatal("events are not numbered")
		}
	}
	head, err := db.Head(ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	s.head.Store(head)
	for got, end := 0, time.Now(); ; time.Sleep(20 * time.Millisecond) {
		now, behind := 0, 0
		for _, r := range s.readers {
			n := r.count()
			if now += n; n < int(head) {
				behind++
			}
		}
		if behind == 0 {
			return
		}
		if now > got {
			got, end = now, time.Now().Add(2*time.Minute)
		}
		if time.Now().After(end) || s.t.Failed() {
			s.t.Fatalf("%d of %d readers have not got all %d events, and get no more", behind, len(s.readers), head)
		}
	}
}

// compare holds what each reader got against the log.
func (s *soak) compare() {
	s.t.Helper()
	db := s.open()
	defer db.Close()
	inLog := map[mgx.EventID]bool{}
	sequences := map[mgx.StreamID]int64{}
	wrong := make([]bool, len(s.readers))
	for e, err := range db.EachEvent(s.t.Context(), store.EventQuery{}) {
		if err != nil {
			s.t.Fatal(err)
		}
		if inLog[e.ID] || e.Sequence != sequences[e.Stream]+1 || e.Position != int64(len(inLog)+1) {
			s.t.Fatalf("the log itself is wrong at %d: %s %s %d", e.Position, e.ID, e.Stream, e.Sequence)
		}
		inLog[e.ID], sequences[e.Stream] = true, e.Sequence
		for i, r := range s.readers {
			if got := r.got[e.Position-1]; got != e.ID && !wrong[i] {
				wrong[i] = true
				s.t.Errorf("reader %d got %s at %d, where the log has %s", i, got, e.Position, e.ID)
			}
		}
	}
	for i, r := range s.readers {
		if len(r.got) != len(inLog) {
			s.t.Errorf("reader %d got %d events of %d", i, len(r.got), len(inLog))
		}
	}
	for id := range s.acked {
		if !inLog[id] {
			s.t.Errorf("%s was acknowledged and is lost", id)
		}
	}
}

// soakReader follows the whole log, at whichever server, and resumes by token.
type soakReader struct {
	s      *soak
	random *rand.Rand

	mu    sync.Mutex
	got   []mgx.EventID // by position
	token string
	sure  int // events before the token
}

func (r *soakReader) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sure
}

func (r *soakReader) add(position int64, id mgx.EventID) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if position != int64(len(r.got)+1) {
		return fmt.Errorf("got %d after %d", position, len(r.got))
	}
	r.got = append(r.got, id)
	return nil
}

func (r *soakReader) keep(token string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.token, r.sure = token, len(r.got)
}

// resumeAt forgets what came after the token, and returns it.
func (r *soakReader) resumeAt() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.got = r.got[:r.sure]
	return r.token
}

func (r *soakReader) follow(ctx context.Context) {
	for r.s.head.Load() == 0 || r.count() < int(r.s.head.Load()) {
		short, stop := context.WithTimeout(ctx, time.Duration(50+r.random.IntN(1500))*time.Millisecond)
		err := followAnywhere(short, r.s.urls, r.resumeAt(), r.add, r.keep)
		stop()
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			r.s.t.Errorf("a reader: %v", err)
			return
		}
	}
}

// hear takes what a reader in another process says.
func (r *soakReader) hear(line string) {
	var position int64
	var word string
	if n, _ := fmt.Sscanf(line, "event %d %s", &position, &word); n == 2 {
		if err := r.add(position, mgx.EventID(word)); err != nil {
			r.s.t.Errorf("a reader in a process: %v", err)
		}
	} else if n, _ := fmt.Sscanf(line, "token %s", &word); n == 1 {
		r.keep(word)
	} else if strings.HasPrefix(line, "failed") {
		r.s.t.Errorf("a reader in a process: %s", line)
	}
}

// followAnywhere streams from one server after another until ctx ends. An error
// is one that no resuming reader should see.
func followAnywhere(ctx context.Context, urls []string, resume string, add func(int64, mgx.EventID) error, keep func(string)) error {
	for ctx.Err() == nil {
		remote, err := client.New(urls[rand.N(len(urls))], soakBearer)
		if err != nil {
			return err
		}
		short, elsewhere := context.WithCancel(ctx)
		o := client.StreamOptions{Wait: true, Resume: resume, Lost: func(error) { elsewhere() }}
		if resume == "" {
			o.After = new(int64)
		}
		o.Token = func(token string) { resume = token; keep(token) }
		for e, err := range remote.Stream(short, o) {
			if err == nil {
				err = add(e.Position, e.ID)
			}
			if err != nil && short.Err() == nil {
				elsewhere()
				return err
			}
		}
		elsewhere()
	}
	return nil
}

// soakProcess is a part of the test in a process of its own, which is killed and
// started again.
type soakProcess struct {
	s    *soak
	role string
	args func() []string // for each start
	hear func(line string)
	cmd  *exec.Cmd
	done chan struct{}
}

const (
	soakRole = "MGX_SOAK_ROLE"
	soakArgs = "MGX_SOAK_ARGS"
)

func (s *soak) spawn(role string, args func() []string, hear func(string)) *soakProcess {
	s.t.Helper()
	p := &soakProcess{s: s, role: role, args: args, hear: hear}
	p.start()
	s.t.Cleanup(p.end)
	return p
}

func (p *soakProcess) start() {
	p.s.t.Helper()
	self, err := os.Executable()
	if err != nil {
		p.s.t.Fatal(err)
	}
	p.cmd = exec.CommandContext(p.s.t.Context(), self, "-test.run=^TestSoak$")
	p.cmd.Env = append(os.Environ(), soakRole+"="+p.role, soakArgs+"="+strings.Join(p.args(), "\n"))
	p.cmd.Stderr = os.Stderr
	out, err := p.cmd.StdoutPipe()
	if err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		p.s.t.Fatal(err)
	}
	p.done = make(chan struct{})
	go func() {
		defer close(p.done)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			p.hear(lines.Text())
		}
	}()
}

func (p *soakProcess) end() {
	p.cmd.Process.Kill()
	<-p.done
	p.cmd.Wait()
}

func (p *soakProcess) kill() {
	p.s.t.Helper()
	p.end()
	p.start()
}

// soakChild plays a part, until it is killed.
func soakChild(role string) {
	args := strings.Split(os.Getenv(soakArgs), "\n")
	var err error
	switch role {
	case "writer":
		err = soakWrite(context.Background(), args[0])
	case "reader":
		add := func(position int64, id mgx.EventID) error { fmt.Printf("event %d %s\n", position, id); return nil }
		err = followAnywhere(context.Background(), args[1:], args[0], add, func(token string) { fmt.Printf("token %s\n", token) })
	}
	fmt.Printf("failed: %v\n", err)
	os.Exit(1)
}

// soakWrite appends to runs of its own and says what was committed. What fails
// because the database was away is tried again: under its ids it is stored once.
func soakWrite(ctx context.Context, at string) error {
	var db *store.Store
	err := errors.New("not yet")
	for err != nil {
		if db, err = store.Open(ctx, at, store.Options{}); err != nil {
			time.Sleep(50 * time.Millisecond)
		}
	}
	failed := make(chan error)
	for range 3 {
		go func() {
			sc := mgx.Scope{Workspace: mgx.DefaultWorkspace, Run: mgx.NewRunID()}
			first := sc.Event(mgx.RunCreated, mgx.RunCreatedData{})
			first.Version = "1.1.0"
			for batch := []mgx.Event{first}; ; batch = nil {
				for range rand.N(5) {
					e := sc.Event(mgx.RunNoted, mgx.NotedData{Level: "info", Text: strings.Repeat("x", rand.N(600))})
					e.Version = "1.0.0"
					batch = append(batch, e)
				}
				_, err := db.Commit(ctx, mgx.Change{Events: batch})
				for mgx.IsCode(err, store.CodeUnavailable) {
					time.Sleep(10 * time.Millisecond)
					_, err = db.Commit(ctx, mgx.Change{Events: batch})
				}
				if err != nil {
					failed <- err
					return
				}
				for _, e := range batch {
					fmt.Printf("committed %s\n", e.ID)
				}
				time.Sleep(rand.N(4 * time.Millisecond))
			}
		}()
	}
	return <-failed
}
