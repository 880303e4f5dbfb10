package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A comparison is made in slices: so many requests of a kind to MGX and the same
// number to the reference, one after the other, again and again, and of what each
// slice came to the median. What else the machine does meanwhile slows both, and
// what it does in one slice is not in the median. CPU is that of the process, to the
// nanosecond, and not of the commands that it runs.
const (
	slicesOf   = 31
	readRounds = 8 // of reads in a slice
	creates    = 12
)

// cost is what requests cost MGX in CPU, as multiples of what the same kind costs the
// reference.
type cost struct {
	Read   float64 `json:"read_times_reference"`
	Create float64 `json:"create_times_reference"`
}

// within is how much more a request may cost than it did. It lies between what the
// same program comes to on a machine that is idle and on one that is not, which is a
// sixth, and a doubling.
const within = 1.6

// reads are a round of what people look at, and what the reference does for it.
func (s *server) round() (paths, reference []string) {
	for i := range 20 {
		switch {
		case i < 8:
			paths, reference = append(paths, "/api/v1/runs?limit=20"), append(reference, "/list")
		case i < 16:
			n := i * len(s.runs) / 20
			paths, reference = append(paths, "/api/v1/runs/"+s.runs[n]), append(reference, fmt.Sprint("/one?n=", n))
		case i < 18:
			paths, reference = append(paths, "/api/v1/events?limit=50"), append(reference, "/list")
		default:
			paths, reference = append(paths, "/api/v1/budgets"), append(reference, "/one?n=0")
		}
	}
	return paths, reference
}

// compare finds what requests cost.
func (s *server) compare(ctx context.Context) (c cost, err error) {
	ref, err := s.reference(ctx)
	if err != nil {
		return c, err
	}
	defer ref.end()
	paths, peer := s.round()
	var read, create, micros, created []float64
	for i := range slicesOf + 1 {
		mine, err := s.cpuOf(ctx, &s.process, readRounds*len(paths), func(n int) error { return s.ask(ctx, s.url+paths[n%len(paths)]) })
		if err != nil {
			return c, err
		}
		theirs, err := s.cpuOf(ctx, &ref.process, readRounds*len(peer), func(n int) error { return s.ask(ctx, ref.url+peer[n%len(peer)]) })
		if err != nil {
			return c, err
		}
		made, err := s.cpuOf(ctx, &s.process, creates, func(int) error {
			path, body := s.task()
			return s.post(ctx, s.keys[0], s.url+path, json.RawMessage(body), &struct{}{})
		})
		if err != nil {
			return c, err
		}
		theirMade, err := s.cpuOf(ctx, &ref.process, creates, func(int) error {
			_, body := s.task()
			return s.post(ctx, s.keys[0], ref.url+"/create", json.RawMessage(body), &struct{}{})
		})
		if err != nil {
			return c, err
		}
		if i > 0 { // the first one warms up
			read, create = append(read, float64(mine)/float64(theirs)), append(create, float64(made)/float64(theirMade))
			micros, created = append(micros, float64(mine)/1e3), append(created, float64(made)/1e3)
		}
	}
	c = cost{Read: median(read), Create: median(create)}
	fmt.Printf("CPU of a read: %.0f µs, %.2f times that of the reference; of a create, without git: %.0f µs, %.2f times\n", median(micros), c.Read, median(created), c.Create)
	fmt.Printf("half of the slices are between %.2f and %.2f, and %.2f and %.2f\n", quarter(read, 1), quarter(read, 3), quarter(create, 1), quarter(create, 3))
	return c, nil
}

func median(of []float64) float64 { return quarter(of, 2) }

func quarter(of []float64, n int) float64 {
	of = slices.Sorted(slices.Values(of))
	return of[min(len(of)*n/4, len(of)-1)]
}

// cpuOf is the CPU time that a process uses for each of n requests.
func (s *server) cpuOf(ctx context.Context, p *process, n int, do func(int) error) (time.Duration, error) {
	before, err := p.clock()
	if err != nil {
		return 0, err
	}
	for i := range n {
		if err := do(i); err != nil {
			return 0, err
		}
	}
	after, err := p.clock()
	return (after - before) / time.Duration(n), errOr(ctx, err)
}

func errOr(ctx context.Context, err error) error {
	if err == nil {
		err = ctx.Err()
	}
	return err
}

// clock is the CPU time of the process, all threads together.
func (p *process) clock() (time.Duration, error) {
	const ofProcess = 2 // CPUCLOCK_SCHED; see clock_getcpuclockid(3)
	var at unix.Timespec
	if err := unix.ClockGettime(int32(^p.cmd.Process.Pid<<3|ofProcess), &at); err != nil {
		return 0, fmt.Errorf("the CPU time of a process: %w", err)
	}
	return time.Duration(at.Nano()), nil
}

func (s *server) ask(ctx context.Context, url string) error {
	_, err := s.get(ctx, url)
	return err
}

func (s *server) get(ctx context.Context, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+s.keys[0])
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s: %s %.200s", url, resp.Status, text)
	}
	return text, err
}

// reference starts the server that MGX is held against, with rows as MGX has them.
func (s *server) reference(ctx context.Context) (*referenceServer, error) {
	text, err := s.get(ctx, s.url+"/api/v1/runs?limit=100")
	if err != nil {
		return nil, err
	}
	rows := filepath.Join(s.home, "rows.json")
	if err := os.WriteFile(rows, text, 0o600); err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	ref := &referenceServer{}
	line, err := ref.start(ctx, s.home, self, "-reference", rows)
	ref.url = strings.TrimSpace(string(line))
	return ref, err
}

type referenceServer struct {
	process
	url string
}

func (c cost) settle(check, write string) error {
	if write != "" {
		text, err := json.MarshalIndent(c, "", "  ")
		if err != nil {
			return err
		}
		return os.WriteFile(write, append(text, '\n'), 0o644)
	}
	text, err := os.ReadFile(check)
	if err != nil {
		return err
	}
	var was cost
	if err := json.Unmarshal(text, &was); err != nil {
		return err
	}
	for _, what := range []struct {
		name     string
		now, was float64
	}{{"read", c.Read, was.Read}, {"create", c.Create, was.Create}} {
		if what.now > what.was*within {
			return fmt.Errorf("a %s costs %.2f times the CPU of the reference's, and cost %.2f times when %s was written; find out why, or write it anew with: make load LOADFLAGS=-write=load/baseline.json", what.name, what.now, what.was, check)
		}
	}
	fmt.Printf("within %.1f times of %s, which says %.2f and %.2f\n", within, check, was.Read, was.Create)
	return nil
}
