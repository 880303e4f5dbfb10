// Package pgtest runs a real PostgreSQL for tests: a cluster of its own in a
// temporary directory, reached through a unix socket, with fsync on unless a test
// says otherwise, and gone when the test process is, however that ends.
package pgtest

import (
	"bytes"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// Cluster is one running server.
type Cluster struct {
	dir    string // data, socket and log
	bin    string
	as     *syscall.Credential // nil: ourselves
	with   []string            // settings
	server *exec.Cmd
	ended  chan struct{}
	made   atomic.Int64 // databases
}

var shared struct {
	sync.Mutex
	cluster *Cluster
}

// Main runs the tests of a package and stops the cluster that they shared, after what
// else they shared.
func Main(m *testing.M, stop ...func()) {
	code := m.Run()
	for _, f := range stop {
		f()
	}
	if c := shared.cluster; c != nil {
		c.remove()
	}
	os.Exit(code)
}

// NewDatabase returns the address of a new, empty database on a server that all
// tests of the process share. The test is skipped where PostgreSQL is not
// installed. The package needs a TestMain that calls Main.
func NewDatabase(t testing.TB) string {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.cluster == nil {
		c, err := start(programs(t))
		if err != nil {
			t.Fatal(err)
		}
		shared.cluster = c
	}
	return shared.cluster.NewDatabase(t)
}

// Copy returns the address of a new database on that server with all that is in
// another, which nobody may be connected to.
func Copy(t testing.TB, address string) string {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return shared.cluster.create(t, " TEMPLATE "+strings.TrimPrefix(u.Path, "/"))
}

// New starts a cluster for one test, which may stop, restart and break it. Settings
// are as in postgresql.conf.
func New(t testing.TB, settings ...string) *Cluster {
	t.Helper()
	c, err := start(programs(t), settings...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.remove)
	return c
}

// programs returns the directory of the server's programs, or skips.
func programs(t testing.TB) string {
	t.Helper()
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	slices.SortFunc(found, func(a, b string) int { return version(b) - version(a) })
	if p, err := exec.LookPath("initdb"); err == nil {
		if real, err := filepath.EvalSymlinks(p); err == nil {
			found = append(found, real)
		}
	}
	for _, p := range found {
		if _, err := os.Stat(filepath.Join(filepath.Dir(p), "postgres")); err == nil {
			return filepath.Dir(p)
		}
	}
	t.Skip("PostgreSQL is not installed here (Debian: apt-get install postgresql-15)")
	return ""
}

func version(p string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(p))))
	return n
}

func start(bin string, settings ...string) (*Cluster, error) {
	dir, err := os.MkdirTemp("", "mgx-pg-")
	if err != nil {
		return nil, err
	}
	c := &Cluster{dir: dir, bin: bin, with: settings}
	if err := c.init(); err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	if err := c.Start(); err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	return c, nil
}

// init makes the cluster, as an ordinary user: PostgreSQL refuses to be root.
func (c *Cluster) init() error {
	if os.Getuid() == 0 {
		u, err := user.Lookup("postgres")
		if err != nil {
			return err
		}
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		c.as = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		if err := os.Chown(c.dir, uid, gid); err != nil {
			return err
		}
	}
	out, err := c.command("initdb", "-D", c.data(), "-U", "mgx", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-instructions", "--no-sync").CombinedOutput()
	if err != nil {
		return fmt.Errorf("initdb: %v\n%s", err, out)
	}
	return nil
}

func (c *Cluster) data() string { return filepath.Join(c.dir, "data") }

func (c *Cluster) command(program string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(c.bin, program), args...)
	cmd.Dir = c.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: c.as}
	return cmd
}

// Start starts the server and waits until it answers.
func (c *Cluster) Start() error {
	args := []string{"-D", c.data(), "-k", c.dir}
	for _, setting := range append([]string{"listen_addresses=", "fsync=on", "max_connections=300", "shared_buffers=64MB", "log_min_messages=warning"}, c.with...) {
		args = append(args, "-c", setting)
	}
	c.server = c.command("postgres", args...)
	log, err := os.OpenFile(filepath.Join(c.dir, "log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	c.server.Stdout, c.server.Stderr = log, log
	c.ended = make(chan struct{})
	started := make(chan error)
	go func() {
		// The kernel sends this signal when the thread that started it ends.
		runtime.LockOSThread()
		c.server.SysProcAttr.Pdeathsig = syscall.SIGQUIT
		err := c.server.Start()
		started <- err
		if err == nil {
			c.server.Wait()
		}
		close(c.ended)
	}()
	if err := <-started; err != nil {
		return err
	}
	return c.answers()
}

func (c *Cluster) answers() error {
	for range 600 {
		if c.command("pg_isready", "-q", "-h", c.dir).Run() == nil {
			return nil
		}
		select {
		case <-c.ended:
			log, _ := os.ReadFile(filepath.Join(c.dir, "log"))
			return fmt.Errorf("the server ended:\n%s", log)
		case <-time.After(50 * time.Millisecond):
		}
	}
	return fmt.Errorf("the server does not answer")
}

// Stop ends the server: SIGINT for a fast shutdown, SIGQUIT for one like a crash.
func (c *Cluster) Stop(how syscall.Signal) {
	c.server.Process.Signal(how)
	<-c.ended
}

func (c *Cluster) remove() {
	c.Stop(syscall.SIGQUIT)
	os.RemoveAll(c.dir)
}

// NewDatabase returns the address of a new, empty database.
func (c *Cluster) NewDatabase(t testing.TB) string {
	t.Helper()
	return c.create(t, "")
}

func (c *Cluster) create(t testing.TB, like string) string {
	t.Helper()
	name := fmt.Sprint("test", c.made.Add(1))
	c.SQL(t, c.Address("postgres"), "CREATE DATABASE "+name+like)
	return c.Address(name)
}

// Address returns the address of a database.
func (c *Cluster) Address(database string) string {
	return "postgres://mgx@/" + database + "?host=" + c.dir
}

// SQL runs statements as the server's superuser and returns what they print, a
// row a line with columns separated by |.
func (c *Cluster) SQL(t testing.TB, address, statements string) string {
	t.Helper()
	return SQL(t, address, statements)
}

// SQL is [Cluster.SQL] for the cluster that address names.
func SQL(t testing.TB, address, statements string) string {
	t.Helper()
	cmd := exec.Command(filepath.Join(programs(t), "psql"), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", address, "-f", "-")
	cmd.Stdin = strings.NewReader(statements)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("psql: %v\n%s", err, errs.String())
	}
	return strings.TrimSpace(out.String())
}

// NewDatabaseOn returns the address of a new database whose tables lie in a
// directory below dir, and that directory. The server's own log stays where it is.
func (c *Cluster) NewDatabaseOn(t testing.TB, dir string) (address, at string) {
	t.Helper()
	at = filepath.Join(dir, "tables")
	if err := os.Mkdir(at, 0o700); err != nil {
		t.Fatal(err)
	}
	for p := dir; c.as != nil && p != filepath.Dir(p); p = filepath.Dir(p) { // the server's user has to get there
		info, err := os.Stat(p)
		if err == nil && info.Mode().Perm()&0o001 == 0 {
			err = os.Chmod(p, info.Mode().Perm()|0o011)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if c.as != nil {
		if err := os.Chown(at, int(c.as.Uid), int(c.as.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	name := fmt.Sprint("test", c.made.Add(1))
	c.SQL(t, c.Address("postgres"), fmt.Sprintf("CREATE TABLESPACE %s_space LOCATION '%s';\nCREATE DATABASE %s TABLESPACE %s_space;", name, at, name, name))
	return c.Address(name), at
}
