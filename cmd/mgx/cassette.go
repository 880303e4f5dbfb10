package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	mathrand "math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/pflag"

	"mgx"
	"mgx/internal/llm"
	"mgx/internal/llm/cassette"
)

// repeatFlags are the ways to make a run repeatable; see docs/replay.md.
type repeatFlags struct {
	record, replay string
	deterministic  bool
	seed           int64
	resumes        bool // an earlier process began the recording
	serves         bool // it is the recording of a server
}

func (f *repeatFlags) add(flags *pflag.FlagSet) {
	f.addTapes(flags)
	flags.BoolVar(&f.deterministic, "deterministic", false, "ask models for a fixed seed and temperature 0, and do one thing at a time")
	flags.Int64Var(&f.seed, "seed", 1, "the seed of --deterministic, a whole `number`")
}

func (f *repeatFlags) addTapes(flags *pflag.FlagSet) {
	flags.Var((*fileFlag)(&f.record), "record", "record every call to a model in this `file`, without secrets")
	flags.Var((*fileFlag)(&f.replay), "replay", "answer every call to a model from this `file`; needs no network and no key")
}

// fileFlag is the name of a file. It is not empty where it is given: a script that failed to
// fill it in would call models, and pay, in place of a replay.
type fileFlag string

func (f *fileFlag) String() string { return string(*f) }
func (*fileFlag) Type() string     { return "file" }
func (f *fileFlag) Set(name string) error {
	if *f = fileFlag(name); name == "" {
		return errors.New("a name is missing")
	}
	return nil
}

// refuse adds the flags to a command for which they make no sense, to say why.
func (f *repeatFlags) refuse(flags *pflag.FlagSet, names ...string) {
	f.addTapes(flags)
	for _, name := range names {
		flags.MarkHidden(name)
	}
}

// settle puts what was asked for into the settings of the run, where a resume
// finds it.
func (f *repeatFlags) settle(s *mgx.RunSettings, t *tape) {
	s.InOrder = f.deterministic || t != nil
	if f.deterministic {
		s.Seed = &f.seed
	} else {
		s.Seed = t.run().Seed
	}
}

// tape is what calls are recorded on or played from: one of the two. A nil tape
// is neither, and all methods do then what is done without.
type tape struct {
	file     string
	header   cassette.Header
	runs     []cassette.Run
	torn     bool
	recorder *cassette.Recorder
	player   *cassette.Player
}

// openTape opens what the flags name.
func (c *cli) openTape(f repeatFlags) (*tape, error) {
	o := cassette.Options{Redact: redactor().Bytes, Secret: redactors().Own().Add}
	switch {
	case f.record != "" && f.replay != "":
		return nil, usage("bad_flag", "use either --record or --replay")
	case f.replay != "":
		loaded, err := cassette.Load(f.replay)
		if err != nil {
			return nil, err
		}
		if loaded.Header.Server {
			return nil, usage("server_recording", "%s holds the calls of a server, made for many at once; they are there to be read, not to be played: record one run with mgx run --record", f.replay)
		}
		return &tape{file: f.replay, header: loaded.Header, runs: loaded.Runs, torn: loaded.Torn, player: cassette.Play(f.replay, loaded, o)}, nil
	case f.record != "" && f.resumes:
		r, loaded, err := cassette.Append(f.record, o)
		if err != nil {
			return nil, err
		}
		return &tape{file: f.record, header: loaded.Header, runs: loaded.Runs, recorder: r}, nil
	case f.record != "":
		h := cassette.Header{Program: "mgx " + version, Started: mgx.Now(), Seed: rand.Text(), Environment: c.addresses(), Server: f.serves}
		r, err := cassette.Record(f.record, h, o)
		if err != nil {
			return nil, err
		}
		return &tape{file: f.record, header: h, recorder: r}, nil
	}
	return nil, nil
}

// addresses are the variables by which providers are found here, fit to keep:
// addresses without credentials, and a placeholder for each key.
func (c *cli) addresses() map[string]string {
	_, names := discover(c.getenv, nil)
	kept := map[string]string{}
	for _, name := range names {
		value := strings.TrimSpace(c.getenv(name))
		switch {
		case value == "":
		case strings.Contains(name, "KEY"):
			kept[name] = cassette.Placeholder
		default:
			kept[name] = withoutCredentials(value)
		}
	}
	if file, _, err := loadModelsFile(c.getenv); err == nil { // else the run ends with the error
		for _, p := range file.For(mgx.DefaultWorkspace).Providers {
			if p.KeyEnv != "" {
				kept[p.KeyEnv] = cassette.Placeholder
			}
		}
	}
	return kept
}

func withoutCredentials(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return address
	}
	u.User, u.RawQuery, u.Fragment = nil, "", ""
	return u.String()
}

// playing reports whether calls are answered from the tape.
func (t *tape) playing() bool { return t != nil && t.player != nil }

// client makes the calls of providers; nil: one for the network.
func (t *tape) client() *http.Client {
	switch {
	case t == nil:
		return nil
	case t.player != nil:
		return &http.Client{Transport: t.player}
	}
	return &http.Client{Transport: t.recorder}
}

func (t *tape) clock() *cassette.Clock {
	if t.player != nil {
		return t.player.Clock
	}
	return t.recorder.Clock
}

// getenv is the environment in which providers are found: when playing, that of
// the recording.
func (t *tape) getenv(real func(string) string) func(string) string {
	if t == nil || t.player == nil {
		return real
	}
	_, names := discover(real, nil)
	return func(name string) string {
		if recorded, ok := t.header.Environment[name]; ok || slices.Contains(names, name) {
			return recorded
		}
		return real(name)
	}
}

// run is what the recorded calls were made for, as far as that is known.
func (t *tape) run() cassette.Run {
	if t == nil || len(t.runs) == 0 {
		return cassette.Run{}
	}
	return t.runs[0]
}

// begin records what the calls are made for, or compares it with what they were.
func (t *tape) begin(stderr io.Writer, run cassette.Run) error {
	if t == nil {
		return nil
	}
	if t.recorder != nil {
		return t.recorder.Begin(run)
	}
	if was := t.run().Head; was != "" && was != run.Head {
		fmt.Fprintf(stderr, "The recording began on commit %.12s; this repository is at %.12s.\n", was, run.Head)
	}
	if t.torn {
		fmt.Fprintf(stderr, "The recording %s was broken off; what is whole of it is played.\n", t.file)
	}
	return nil
}

// isOf refuses to go on with the recording of another task.
func (t *tape) isOf(run mgx.Run) error {
	if was := t.run().Task; was != "" && was != string(redactor().Bytes([]byte(run.Task.Description))) {
		return usage("other_recording", "the recording %s is of another task than run %s: %q", t.file, run.ID, clip(was, 80))
	}
	return nil
}

func clip(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}

// started is the time that a run is stamped with; zero: the time it is.
func (t *tape) started() time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.header.Started
}

// seed is what the run's identifiers are made from.
func (t *tape) seed(s mgx.RunSettings) string {
	if t == nil {
		seed := int64(0)
		if s.Seed != nil {
			seed = *s.Seed
		}
		return fmt.Sprint("deterministic ", seed)
	}
	return t.header.Seed
}

// repeatable has a router take what differs each time from where it does not.
// Answers that were kept elsewhere would be missing from a recording, and a
// recording needs no limits when it is played.
func (t *tape) repeatable(s mgx.RunSettings, o llm.Options) llm.Options {
	if t != nil && t.header.Server {
		t = nil // it listens, and nothing is as it were without
	}
	if s.InOrder {
		o.Jitter = jitter(t.seed(s))
	}
	if t == nil {
		return o
	}
	o.Now, o.Sleep, o.Keep = t.clock().Now, t.clock().Sleep, llm.Keep{}
	if t.player != nil {
		for name, p := range o.Of {
			p.Limits = llm.Limits{}
			o.Of[name] = p
		}
	}
	return o
}

// state is what the routers of this process share.
func (t *tape) state(o llm.StateOptions) *llm.State {
	if t != nil && t.player != nil {
		o.Workspace = nil
	}
	return llm.NewState(o)
}

// jitter draws waits from a seed.
func jitter(seed string) func(time.Duration) time.Duration {
	h := fnv.New64a()
	io.WriteString(h, seed)
	var mu sync.Mutex
	source := mathrand.New(mathrand.NewPCG(h.Sum64(), 0))
	return func(most time.Duration) time.Duration {
		mu.Lock()
		defer mu.Unlock()
		return time.Duration(source.Int64N(int64(most) + 1))
	}
}

// close ends the tape and says what came of it. It returns the error that the
// command ends with.
func (t *tape) close(stderr io.Writer, failed error) error {
	switch {
	case t == nil:
		return failed
	case t.recorder != nil:
		return cmp.Or(failed, t.recorder.Close())
	}
	if t.player.Differs() != nil {
		return failed // and it says where it stopped
	}
	if unused, all := t.player.Unused(); len(unused) > 0 {
		fmt.Fprintf(stderr, "%d of the recording's %d calls were not made: %s\n", len(unused), all, clip(strings.Join(unused, ", "), 300))
	}
	return failed
}

// reproduce makes what follows repeatable. In a fresh data directory the same
// seed gives the same identifiers; where that run is already, the next ones.
func (n *node) reproduce(ctx context.Context, seed string, started time.Time) (end func(), err error) {
	const tries = 10_000
	for i := range tries {
		nth := fmt.Sprint(i)
		mgx.Reproduce(seed, nth, started)
		mgx.NewTaskID()
		id := mgx.NewRunID()
		end := mgx.Reproduce(seed, nth, started)
		_, err := n.store.Run(ctx, mgx.DefaultWorkspace, id)
		if mgx.IsCode(err, mgx.CodeNotFound) {
			return end, nil
		}
		end()
		if err != nil {
			return nil, err
		}
	}
	return nil, errors.New("no identifiers are left for this seed")
}
