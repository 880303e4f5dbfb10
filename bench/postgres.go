package main

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// startPostgres runs a cluster of its own in a directory.
func startPostgres(dir string) (address string, stop func(), err error) {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if len(found) == 0 {
		return "", nil, fmt.Errorf("PostgreSQL is not installed (Debian: apt-get install postgresql)")
	}
	slices.Sort(found)
	bin, home := filepath.Dir(found[len(found)-1]), filepath.Join(dir, "pg")
	if err := os.Mkdir(home, 0o700); err != nil {
		return "", nil, err
	}
	var as *syscall.Credential
	if os.Getuid() == 0 {
		u, err := user.Lookup("postgres")
		if err != nil {
			return "", nil, err
		}
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		as = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		os.Chown(home, uid, gid)
		os.Chmod(dir, 0o711)
	}
	command := func(name string, args ...string) *exec.Cmd {
		cmd := exec.Command(filepath.Join(bin, name), args...)
		cmd.Dir, cmd.SysProcAttr = home, &syscall.SysProcAttr{Credential: as}
		return cmd
	}
	data := filepath.Join(home, "data")
	if out, err := command("initdb", "-D", data, "-U", "mgx", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync").CombinedOutput(); err != nil {
		return "", nil, fmt.Errorf("initdb: %v\n%s", err, out)
	}
	server := command("postgres", "-D", data, "-k", home, "-c", "listen_addresses=", "-c", "shared_buffers=128MB", "-c", "max_connections=200")
	if err := server.Start(); err != nil {
		return "", nil, err
	}
	stop = func() {
		server.Process.Signal(syscall.SIGQUIT)
		server.Wait()
	}
	for range 200 {
		if command("pg_isready", "-q", "-h", home).Run() == nil {
			return "postgres://mgx@/postgres?host=" + home, stop, nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	stop()
	return "", nil, fmt.Errorf("PostgreSQL does not answer")
}
