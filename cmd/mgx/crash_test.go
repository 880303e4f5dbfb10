package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"mgx"
	"mgx/internal/store/pgtest"
)

// TestKilledInEveryWrite kills the server, the program as users have it, while it
// does what a write route is for: before a commit, on PostgreSQL also after it and
// before the server hears of it, and when all is done. The routes are those of its
// OpenAPI document: one that is new has to say by which request it is tried. A server
// that is started again on the same data has done either nothing or all, and who asks
// again is answered as by one that was never killed, and has it done once; a call of a
// model is another call, and each is in the books once.
// MGX_KILL=all takes every moment of every route, without it there is a sample of some.
func TestKilledInEveryWrite(t *testing.T) {
	t.Parallel()
	program := crashProgram(t)
	for name, sample := range map[string]int{"SQLite": 2, "PostgreSQL": 9} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCrashTown(t, program, name == "PostgreSQL")
			for i, r := range c.routes {
				if killAll() || i%sample == 0 {
					t.Run(r.ID, func(t *testing.T) {
						t.Parallel()
						c.tryRoute(t, r, i)
					})
				}
			}
		})
	}
}

func killAll() bool { return os.Getenv("MGX_KILL") == "all" }

// crashTown is a server's data with something of every kind in it, of which each
// kill gets a copy.
type crashTown struct {
	program string
	lab     *lab
	cluster *pgtest.Cluster // nil: SQLite
	data    string          // directory
	place   string          // of the database
	hooks   string          // address of an endpoint
	samples map[string]crashCall
	routes  []crashRoute
	payer   crashPayer
	first   sync.Once
	is      picture // before anything is done
}

// before is how the base is when a server has begun on it.
func (c *crashTown) before(t *testing.T) picture {
	t.Helper()
	c.first.Do(func() {
		y := c.copy(t)
		s := y.start()
		defer s.kill()
		c.is = y.picture()
	})
	return c.is
}

// crashRoute is a write route and the request that it is tried by.
type crashRoute struct {
	ID, Method, Path string
	call             crashCall
}

func newCrashTown(t *testing.T, program string, postgres bool) *crashTown {
	t.Helper()
	c := &crashTown{program: program, lab: newLab(t, crashScript), data: t.TempDir()}
	c.place = filepath.Join(c.data, "mgx.db")
	if postgres {
		c.cluster = pgtest.New(t, "fsync=off") // it is not killed
		c.place = c.cluster.NewDatabase(t)
	}
	hooks := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(hooks.Close)
	c.hooks = hooks.URL
	c.settle()
	c.review()
	c.pay()
	c.stay(t)
	c.findRoutes(t)
	return c
}

// findRoutes reads which routes write in the document of the API.
func (c *crashTown) findRoutes(t *testing.T) {
	t.Helper()
	s := c.start(t, c.data, c.place)
	defer s.end()
	var doc struct {
		Paths map[string]map[string]struct {
			ID string `json:"operationId"`
		}
	}
	if err := json.Unmarshal([]byte(s.ask("GET", "/api/v1/openapi.json", nil, nil).body), &doc); err != nil {
		t.Fatal(err)
	}
	for path, methods := range doc.Paths {
		for method, o := range methods {
			if method == "get" {
				continue
			}
			call, known := c.samples[o.ID]
			if !known {
				t.Errorf("%s %s (%s) writes: say in settle by which request it is tried", method, path, o.ID)
			}
			delete(c.samples, o.ID)
			c.routes = append(c.routes, crashRoute{o.ID, strings.ToUpper(method), path, call})
		}
	}
	for id := range c.samples {
		t.Errorf("there is no route %s any more", id)
	}
	slices.SortFunc(c.routes, func(a, b crashRoute) int { return strings.Compare(a.ID, b.ID) })
}

// at is the path with the ids of the request.
func (r crashRoute) at(t testing.TB) string {
	parts, ids := strings.Split(r.Path, "/"), r.call.ids
	for i, part := range parts {
		if strings.HasPrefix(part, "{") {
			if len(ids) == 0 {
				t.Fatalf("%s: an id is missing for %s", r.ID, part)
			}
			parts[i], ids = ids[0], ids[1:]
		}
	}
	return strings.Join(parts, "/")
}

// crashCopy is a copy of the base, on which servers can be told when to die.
type crashCopy struct {
	c           *crashTown
	t           *testing.T
	data, place string
	fuse        fuse
}

// fuse kills a server at a commit.
type fuse interface {
	// light has it die at the n-th commit from now on; after: once it is done.
	light(n int, after bool)
	// left is how many commits there were to go still.
	left() int
	// server says which database a server is to open, what its environment has, and
	// by what it is killed.
	server() (place, env string, victim func(*crashServer))
}

func (c *crashTown) copy(t *testing.T) *crashCopy {
	t.Helper()
	y := &crashCopy{c: c, t: t, data: t.TempDir()}
	if err := os.CopyFS(y.data, os.DirFS(c.data)); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(y.data, func(at string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() { // CopyFS gives all files the mode of new ones
			err = os.Chmod(at, 0o600)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if y.place = filepath.Join(y.data, "mgx.db"); c.cluster == nil {
		y.fuse = &fileFuse{t: t, path: filepath.Join(t.TempDir(), "fuse"), place: y.place}
		return y
	}
	y.place = copyDatabase(t, c.cluster, c.place)
	y.fuse = newWireFuse(t, y.place)
	return y
}

func (y *crashCopy) start() *crashServer {
	y.t.Helper()
	place, env, victim := y.fuse.server()
	s := y.c.start(y.t, y.data, place, env)
	victim(s)
	return s
}

func (y *crashCopy) picture() picture {
	y.t.Helper()
	return pictureOf(y.t, y.place, y.data, false)
}

// start starts a server. It may only be waited for once.
func (c *crashTown) start(t testing.TB, data, place string, env ...string) *crashServer {
	t.Helper()
	s := &crashServer{served: &served{l: c.lab, data: data}, t: t}
	args := []string{"serve", "--json", "--listen", "127.0.0.1:0", "--workers", "0", "--webhook-allow", "127.0.0.0/8", "--data", data}
	if c.cluster != nil {
		args = append(args, "--database", place)
	}
	s.cmd = exec.CommandContext(t.Context(), c.program, args...)
	s.cmd.Env, s.cmd.Dir, s.cmd.Stderr = append(slices.Clone(c.lab.env), env...), c.lab.repo, &s.errs
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.kill)
	var first struct {
		URL   string
		Setup string `json:"setup_token"`
	}
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err != nil || json.Unmarshal(line, &first) != nil {
		t.Fatalf("the server did not start: %v %s %s", err, line, s.errs.String())
	}
	s.url, s.setup, s.token = first.URL, first.Setup, tokenIn(t, data)
	return s
}

// crashProgram builds the program with testdata/crash over it.
func crashProgram(t testing.TB) string {
	t.Helper()
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(map[string]map[string]string{"Replace": {filepath.Join(here, "crash_over.go"): filepath.Join(here, "testdata/crash/crash.go")}})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	over, path := filepath.Join(dir, "over.json"), filepath.Join(dir, "mgx")
	if err := os.WriteFile(over, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("go", "build", "-buildvcs=false", "-overlay", over, "-o", path, ".").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return path
}

// send makes the request of a route.
func (r crashRoute) send(t testing.TB, s *crashServer) crashAnswer {
	t.Helper()
	return s.ask(r.Method, r.at(t), r.call.body, func(q *http.Request) {
		q.Header.Set("Idempotency-Key", "crash")
		if r.call.token != "" {
			q.Header.Set("Authorization", "Bearer "+r.call.token)
		}
		q.Header.Set("Mgx-Workspace", string(cmp.Or(r.call.in, mgx.DefaultWorkspace)))
	})
}

// undisturbed is what comes of a request, and of the same once more.
type undisturbed struct {
	before, once picture
	first        crashAnswer
	commits      int // of the first
	more         func() (second crashAnswer, twice picture)
}

// undisturbed makes the request of a server that is not killed meanwhile.
func (c *crashTown) undisturbed(t *testing.T, r crashRoute) (u undisturbed) {
	t.Helper()
	y := c.copy(t)
	s := y.start()
	t.Cleanup(s.kill)
	u.before = c.before(t)
	const many = 1_000_000
	y.fuse.light(many, false)
	u.first = r.send(t, s)
	u.commits = many - y.fuse.left()
	u.once = y.picture()
	if u.first.status < 200 || u.first.status > 299 {
		t.Fatalf("%s %s: %v\n%s", r.Method, r.at(t), u.first, s.errs.String())
	}
	u.more = sync.OnceValues(func() (crashAnswer, picture) { return r.send(t, s), y.picture() })
	return u
}

// tryRoute kills a server at moments of a request. In a sample that is before the
// last commit where there are several, so that something could be half done, or an
// answer not kept, of those that make files, and of every fourth other route; on
// PostgreSQL also after the first commit of every second one.
func (c *crashTown) tryRoute(t *testing.T, r crashRoute, number int) {
	if c.payer.routes[r.ID] {
		c.tryPaid(t, r)
		return
	}
	u := c.undisturbed(t, r)
	for n := 1; n <= u.commits+1; n++ {
		last := n > u.commits
		if killAll() || !last && n == u.commits && (n > 1 || r.call.files || number%4 == 0) || last && number%8 == 1 {
			c.killAt(t, r, u, n, false)
		}
		if c.cluster != nil && !last && (killAll() || n == 1 && number%2 == 0) {
			c.killAt(t, r, u, n, true)
		}
	}
	if killAll() {
		t.Logf("%d commits", u.commits)
	}
}

// killAt kills a server at the n-th commit of a request, or when it has answered,
// and holds one that is started again to what an undisturbed one does.
func (c *crashTown) killAt(t *testing.T, r crashRoute, u undisturbed, n int, after bool) {
	t.Helper()
	what := fmt.Sprintf("killed at commit %d of %d (after it: %v)", n, u.commits, after)
	y := c.copy(t)
	s := y.start()
	if n <= u.commits {
		y.fuse.light(n, after)
	}
	told := r.send(t, s)
	s.kill()
	y.fuse.light(0, false)
	s = y.start()
	defer s.kill()
	is := pictureOf(t, y.place, y.data, r.call.steps).of(r)
	none, done := is.differs(u.before.of(r)), is.differs(u.once.of(r))
	if told.status != 0 && done != "" {
		t.Errorf("%s: %s was answered with %v, and is not done:\n%s", what, r.ID, told, done)
	}
	if none != "" && done != "" && !r.call.steps {
		t.Errorf("%s: %s is half done. Beside nothing:\n%s\nBeside all:\n%s", what, r.ID, none, done)
	}
	if r.call.files {
		y.leavesNothing()
	}
	again := r.send(t, s)
	want, then := u.first, u.once
	if done == "" && none != "" {
		want, then = u.more()
	}
	if between := none != "" && done != ""; again.status != want.status || !again.same(want) && !(between && r.call.rest) {
		t.Errorf("%s: %s again is answered with\n%v\nand undisturbed with\n%v", what, r.ID, again, want)
	}
	if why := told.unlike(again); why != "" {
		t.Errorf("%s: %s: %s", what, r.ID, why)
	}
	if now := y.picture().of(r); now.differs(then.of(r)) != "" {
		t.Errorf("%s: after %s again there is\n%s", what, r.ID, now.differs(then.of(r)))
	}
	s.kill()
	if strings.Contains(r.ID, "Secret") {
		secretsOpen(t, y.place, y.data)
	}
}
