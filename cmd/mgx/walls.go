package main

import (
	"context"
	"errors"
	"os"
	"strings"
	"time"

	"mgx"
	"mgx/internal/config"
	"mgx/internal/sandbox"
	"mgx/internal/sandbox/docker"
	"mgx/internal/sandbox/gvisor"
	"mgx/internal/sandbox/native"
	"mgx/internal/sandbox/off"
)

// drivers lists every sandbox there is, those first that are chosen by themselves.
func drivers() []sandbox.Driver {
	return []sandbox.Driver{native.New(), native.NewLite(), docker.New(), gvisor.New(), off.New()}
}

// driver is the sandbox for a --sandbox value or a level. By itself it falls back
// from namespaces to none, where a machine forbids them, and never to no walls:
// those must have been typed away. Docker and gVisor are for those who ask for
// them.
func driver(setting string) sandbox.Driver {
	switch setting {
	case "off":
		return off.New()
	case "lite":
		return native.NewLite()
	case "docker":
		return docker.New()
	case "gvisor":
		return gvisor.New()
	}
	return strongest{native.New(), native.NewLite()}
}

// strongest opens the first that the machine lets it.
type strongest []sandbox.Driver

func (s strongest) Name() string { return s[0].Name() }

// Probe is that of the first that can be had, with what those before it lack.
func (s strongest) Probe(ctx context.Context) (r sandbox.Report) {
	var lacking []sandbox.Check
	for _, d := range s {
		r = d.Probe(ctx)
		r.Checks = append(lacking, r.Checks...)
		if lacking = r.Checks; r.Level != "" {
			break
		}
	}
	return r
}

// Open returns the error of the strongest when none can be had: it says best
// what is missing.
func (s strongest) Open(ctx context.Context, spec sandbox.Spec) (box sandbox.Box, err error) {
	for i, d := range s {
		box, e := d.Open(ctx, spec)
		if !mgx.IsCode(e, "sandbox_unavailable") {
			return box, e
		}
		if i == 0 {
			err = e
		}
	}
	return nil, err
}

// boxSpec is what every box shows beside its workspace: the toolchains of this
// machine, and the mounts. The data directory is kept out of those.
func boxSpec(data, id, work, state string, mounts []sandbox.Mount) sandbox.Spec {
	tools, env, _ := sandbox.Toolchains(os.Getenv, os.Getenv("HOME"), data)
	return sandbox.Spec{ID: id, Work: work, State: state, Mounts: append(tools, mounts...), Env: env}
}

// boxLimits are those of the configuration, which an operator sets and nobody else.
func boxLimits(l config.Limits) sandbox.Limits {
	return sandbox.Limits{
		Memory: l["memory"], Processes: int(l["processes"]), CPUs: float64(l["cpus"]) / 1000, FileSize: l["file-size"],
		OpenFiles: int(l["open-files"]), CPU: time.Duration(l["cpu-time"]), Tmp: l["tmp"], Disk: l["disk"], Files: l["files"],
	}
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
	return demandLevel(ctx, c.cfg, setting)
}

func demandLevel(ctx context.Context, cfg *config.Config, setting string) error {
	least := sandbox.Level(cfg.LeastSandbox)
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
	r := d.Probe(ctx)
	for _, check := range r.Checks {
		if !check.OK {
			missing = append(missing, check.Name+": "+check.Detail)
		}
	}
	why := ""
	if len(missing) > 0 {
		why = " Missing: " + strings.Join(missing, "; ") + "."
	}
	if least == sandbox.LevelGVisor && level != "" { // which auto never takes
		why = " Choose it with --sandbox=gvisor (mgx sandbox run: --level gvisor), or demand less." + why
	}
	return mgx.Errorf(mgx.KindConfig, "sandbox_below_minimum",
		"nothing runs: the sandbox %s %s, and at least %s is demanded.%s mgx doctor tells more", r.Driver, reached, least, why)
}

// doctorWalls says which level runs get, and then what each driver can do.
func (c *cli) doctorWalls(ctx context.Context) []sandbox.Report {
	reached := sandbox.Report{Driver: "sandbox of runs", Level: driver(c.cfg.Sandbox).Probe(ctx).Level}
	reports := []sandbox.Report{reached}
	for _, d := range drivers() {
		reports = append(reports, d.Probe(ctx))
	}
	least := sandbox.Level(c.cfg.LeastSandbox)
	check := sandbox.Check{Name: "level", OK: reached.Level != "" && reached.Level.AtLeast(least), Detail: string(reached.Level)}
	switch {
	case reached.Level == "":
		check.Detail = "none; below is what is missing"
	case !check.OK:
		check.Detail += ", and sandbox-minimum demands " + string(least) + "; below is what is missing"
	case !reached.Level.AtLeast(sandbox.LevelFull):
		check.Detail += "; what full lacks is marked below"
	}
	reached.Checks = []sandbox.Check{check}
	reports[0] = reached
	return reports
}
