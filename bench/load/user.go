package main

import (
	"context"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// result is what a phase came to.
type result struct {
	reads, creates []time.Duration // sorted, from when each was due
	failed         int
	cpu            time.Duration // of the server
	memory         int64         // bytes, of the server, at the end
	took           time.Duration
}

// tally gathers what users see.
type tally struct {
	mu    sync.Mutex
	r     result
	first string // failure
}

func (t *tally) note(read bool, took time.Duration, failure string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if failure != "" {
		t.r.failed++
		if t.first == "" {
			t.first = failure
		}
		return
	}
	if read {
		t.r.reads = append(t.r.reads, took)
	} else {
		t.r.creates = append(t.r.creates, took)
	}
}

// target is where users go.
type target struct {
	url    string
	reads  func() string // a path
	create func() (path, body string)
	keys   []string // one for each user
}

// drive has the users of a phase at work and returns when the last has left.
func (to target) drive(ctx context.Context, p phase, t *tally) {
	began := time.Now()
	var all sync.WaitGroup
	for i := range max(p.from, p.to) {
		from, until := p.stay(i)
		all.Go(func() {
			u := user{target: to, key: to.keys[i%len(to.keys)], tally: t, rand: rand.New(rand.NewPCG(1, uint64(i)))}
			u.work(ctx, began.Add(from), began.Add(until))
		})
	}
	all.Wait()
}

// stay is from when until when the user of a number is there.
func (p phase) stay(i int) (from, until time.Duration) {
	share := func(n, of int) time.Duration {
		return time.Duration(float64(p.length) * float64(n) / float64(max(1, of)))
	}
	switch {
	case i < min(p.from, p.to):
		return 0, p.length
	case p.to > p.from:
		return share(i-p.from, p.to-p.from), p.length
	}
	return 0, share(p.from-i, p.from-p.to)
}

// user is somebody who makes requests.
type user struct {
	target
	key   string
	tally *tally
	rand  *rand.Rand
}

func (u *user) work(ctx context.Context, due, until time.Time) {
	for {
		due = due.Add(time.Duration(u.rand.ExpFloat64() / perUser * float64(time.Second)))
		if !due.Before(until) || !sleepUntil(ctx, due) {
			return
		}
		u.request(ctx, due)
	}
}

func sleepUntil(ctx context.Context, at time.Time) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(time.Until(at)):
		return true
	}
}

func (u *user) request(ctx context.Context, due time.Time) {
	method, path, body, read := http.MethodGet, u.reads(), "", u.rand.IntN(10) > 0
	if !read {
		method = http.MethodPost
		path, body = u.create()
	}
	failure := u.send(ctx, method, path, body)
	if ctx.Err() == nil {
		u.tally.note(read, time.Since(due), failure)
	}
}

func (u *user) send(ctx context.Context, method, path, body string) (failure string) {
	req, err := http.NewRequestWithContext(ctx, method, u.url+path, strings.NewReader(body))
	if err != nil {
		return err.Error()
	}
	req.Header.Set("Authorization", "Bearer "+u.key)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := client.Do(req)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 500))
		return method + " " + path + ": " + resp.Status + " " + string(text)
	}
	if _, err = io.Copy(io.Discard, resp.Body); err != nil {
		return method + " " + path + ": " + err.Error()
	}
	return ""
}

func (t *tally) result() result {
	slices.Sort(t.r.reads)
	slices.Sort(t.r.creates)
	return t.r
}
