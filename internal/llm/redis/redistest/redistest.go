// Package redistest runs a real Redis for tests: a server of its own on a free
// port of this machine, without persistence, and gone when the test is, however
// that ends.
package redistest

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// Server is one running Redis.
type Server struct {
	Addr string // host:port

	t      testing.TB
	dir    string
	server *exec.Cmd
	ended  chan struct{}
}

// New starts a server for a test, which is skipped where there is no Redis.
func New(t testing.TB) *Server {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Skip("Redis is not installed here (Debian: apt-get install redis-server)")
	}
	s := &Server{t: t, dir: t.TempDir()}
	// Somebody else may take the port before Redis does; then another will do.
	var err error
	for range 20 {
		s.Addr = freeAddr(t)
		if err = s.start(); err == nil {
			t.Cleanup(s.Stop)
			return s
		}
	}
	t.Fatal(err)
	return nil
}

// URL is the address as MGX is told it.
func (s *Server) URL() string { return "redis://" + s.Addr + "/0" }

// Start starts a server that was stopped, on its port. It is empty.
func (s *Server) Start() {
	s.t.Helper()
	if err := s.start(); err != nil {
		s.t.Fatal(err)
	}
}

// Stop kills the server.
func (s *Server) Stop() {
	s.Signal(syscall.SIGKILL)
	<-s.ended
}

// Signal sends the server a signal: SIGSTOP makes it silent, SIGCONT go on.
func (s *Server) Signal(how syscall.Signal) { s.server.Process.Signal(how) }

func freeAddr(t testing.TB) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func (s *Server) start() error {
	host, port, _ := net.SplitHostPort(s.Addr)
	log := filepath.Join(s.dir, "log")
	s.server = exec.Command("redis-server", "--bind", host, "--port", port, "--save", "", "--appendonly", "no",
		"--dir", s.dir, "--daemonize", "no", "--logfile", log, "--maxmemory", "64mb")
	s.ended = make(chan struct{})
	started := make(chan error)
	ended := s.ended
	go func() {
		// The kernel sends this signal when the thread that started it ends.
		runtime.LockOSThread()
		s.server.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		err := s.server.Start()
		started <- err
		if err == nil {
			s.server.Wait()
		}
		close(ended)
	}()
	if err := <-started; err != nil {
		return err
	}
	return s.answers(log)
}

// answers waits until the server listens, and makes sure that it is ours.
func (s *Server) answers(log string) error {
	for range 1200 {
		if pid, ok := ask(s.Addr); ok {
			if pid != s.server.Process.Pid {
				s.Stop()
				return fmt.Errorf("another Redis has the port of %s", s.Addr)
			}
			return nil
		}
		select {
		case <-s.ended:
			text, _ := os.ReadFile(log)
			return fmt.Errorf("redis-server ended:\n%s", text)
		case <-time.After(25 * time.Millisecond):
		}
	}
	s.Stop()
	return fmt.Errorf("redis-server does not answer")
}

// ask returns the process id of the server at an address.
func ask(addr string) (pid int, ok bool) {
	conn, err := net.DialTimeout("tcp", addr, 5*time.Second)
	if err != nil {
		return 0, false
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := conn.Write([]byte("INFO server\r\n")); err != nil {
		return 0, false
	}
	var all []byte
	buf := make([]byte, 4096)
	for len(all) < 64<<10 {
		n, err := conn.Read(buf)
		all = append(all, buf[:n]...)
		if _, after, found := bytes.Cut(all, []byte("process_id:")); found {
			if digits, _, whole := bytes.Cut(after, []byte("\r\n")); whole {
				pid, err := strconv.Atoi(string(digits))
				return pid, err == nil
			}
		}
		if err != nil {
			break
		}
	}
	return 0, false
}
