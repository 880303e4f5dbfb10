package main

import (
	"context"
	"errors"
	"os"
	"strings"

	"mgx"
	"mgx/internal/sandbox"
	"mgx/internal/sandbox/native"
	"mgx/internal/sandbox/off"
)

// drivers lists every sandbox there is, strongest first.
func drivers() []sandbox.Driver { return []sandbox.Driver{native.New(), off.New()} }

// driver is the sandbox for a --sandbox value. There is no falling back: walls
// that are not there must have been typed away.
func driver(setting string) sandbox.Driver {
	if setting == "off" {
		return off.New()
	}
	return native.New()
}

// boxSpec is what every box shows beside its workspace: the toolchains of this
// machine, and the mounts.
func boxSpec(id, work, state string, mounts []sandbox.Mount) sandbox.Spec {
	tools, env, _ := sandbox.Toolchains(os.Getenv, os.Getenv("HOME"))
	return sandbox.Spec{ID: id, Work: work, State: state, Mounts: append(tools, mounts...), Env: env}
}

// openBox opens a box, unless it would be weaker than the least level.
func openBox(ctx context.Context, d sandbox.Driver, least sandbox.Level, spec sandbox.Spec) (sandbox.Box, error) {
	box, err := d.Open(ctx, spec)
	if err != nil {
		return nil, err
	}
	if level := box.Level(); !level.AtLeast(least) {
		return nil, errors.Join(tooWeak(ctx, d, level, least), box.Close())
	}
	return box, nil
}

// demand refuses at once what no box would be opened for.
func (c *cli) demand(ctx context.Context, setting string) error {
	least := sandbox.Level(c.cfg.LeastSandbox)
	if least == sandbox.LevelOff {
		return nil
	}
	d := driver(setting)
	if level := d.Probe(ctx).Level; !level.AtLeast(least) {
		return tooWeak(ctx, d, level, least)
	}
	return nil
}

// tooWeak says what is missing, in the words of the probe.
func tooWeak(ctx context.Context, d sandbox.Driver, level, least sandbox.Level) error {
	reached := "reaches level " + string(level)
	if level == "" {
		reached = "does not work here"
	}
	var missing []string
	for _, check := range d.Probe(ctx).Checks {
		if !check.OK {
			missing = append(missing, check.Name+": "+check.Detail)
		}
	}
	why := ""
	if len(missing) > 0 {
		why = " Missing: " + strings.Join(missing, "; ") + "."
	}
	return mgx.Errorf(mgx.KindConfig, "sandbox_below_minimum",
		"nothing runs: the sandbox %s %s, and sandbox-minimum demands %s.%s mgx doctor tells more", d.Name(), reached, least, why)
}
