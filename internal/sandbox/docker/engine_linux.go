//go:build amd64 || arm64 || riscv64

package docker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// engine is a program that builds containers.
type engine struct {
	program string // its path
	podman  bool
	version string // of the server
	maps    bool   // it maps users by itself: whoever is root inside is whoever started it
	bounds  bool   // memory and processes of a container
}

// patience is how long the engine may take to answer.
const patience = 30 * time.Second

// findEngine returns the first of the programs that has a server which answers.
func findEngine(ctx context.Context, programs []string) (*engine, error) {
	var errs []error
	for _, name := range programs {
		e, err := newEngine(ctx, name)
		if err == nil {
			return e, nil
		}
		errs = append(errs, fmt.Errorf("%s: %w", name, err))
	}
	return nil, errors.Join(errs...)
}

func newEngine(ctx context.Context, name string) (*engine, error) {
	program, err := exec.LookPath(name)
	if err != nil {
		return nil, errors.New("it is not installed")
	}
	e := &engine{program: program}
	said, err := e.ask(ctx, nil, "version", "--format", "{{.Client.Version}} {{.Server.Version}}")
	if err != nil { // of podman there is no server
		said, err = e.ask(ctx, nil, "version", "--format", "{{.Client.Version}}")
	}
	if err != nil {
		return nil, err
	}
	fields := strings.Fields(said)
	if len(fields) == 0 {
		return nil, errors.New("it does not say its version")
	}
	e.version = fields[len(fields)-1]
	help, err := e.ask(ctx, nil, "info", "--format", "{{.SecurityOptions}} {{if and .MemoryLimit .PidsLimit}}bounds=true{{end}}")
	if err != nil { // podman has another
		e.podman = true
		help, err = e.ask(ctx, nil, "info", "--format", "rootless={{.Host.Security.Rootless}} {{range .Host.CgroupControllers}}bounds={{.}} {{end}}")
	}
	e.bounds = strings.Contains(help, "bounds=true") || strings.Contains(help, "bounds=memory ") && strings.Contains(help+" ", "bounds=pids ")
	e.maps = strings.Contains(help, "name=rootless") || strings.Contains(help, "name=userns") || strings.Contains(help, "rootless=true")
	return e, err
}

func (e *engine) name() string {
	if e.podman {
		return "Podman"
	}
	return "Docker"
}

// ask runs a command of the engine and returns what it writes.
func (e *engine) ask(ctx context.Context, in io.Reader, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, e.program, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.WaitDelay = time.Second
	var out, said bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, &out, &said
	err := cmd.Run()
	if ctx.Err() != nil {
		return "", fmt.Errorf("no answer in %v", patience)
	}
	if err != nil {
		words := strings.Join(strings.Fields(said.String()), " ")
		return "", fmt.Errorf("%s: %w", words[:min(len(words), 400)], err)
	}
	return strings.TrimSpace(out.String()), nil
}
