package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// scenario is one thing to measure. Each begins with a fresh server.
type scenario struct {
	name string
	run  func(ctx context.Context, p Peer, size Size) ([]figure, error)
}

var scenarios = []scenario{
	{"append", appendDurably},
	{"scan", scan},
	{"one channel", func(ctx context.Context, p Peer, size Size) ([]figure, error) { return live(ctx, p, size, 1) }},
	{"burst", burst},
	{"many channels", func(ctx context.Context, p Peer, size Size) ([]figure, error) {
		return live(ctx, p, size, size.Subscribers)
	}},
	{"storm", storm},
}

// payload holds when an event was due, and filling.
func payload(due time.Time, size int) string {
	text := strconv.FormatInt(due.UnixNano(), 10) + "|"
	return text + strings.Repeat("x", max(0, size-len(text)))
}

func since(text []byte) time.Duration {
	digits, _, _ := bytes.Cut(text, []byte("|"))
	at, err := strconv.ParseInt(string(digits), 10, 64)
	if err != nil {
		return -1
	}
	return time.Duration(time.Now().UnixNano() - at)
}

// appendDurably has writers that each wait for their event before the next.
func appendDurably(ctx context.Context, p Peer, size Size) ([]figure, error) {
	late := make([][]time.Duration, size.Writers)
	for i := range late {
		if err := p.Channel(ctx, fmt.Sprint("writer", i)); err != nil {
			return nil, err
		}
	}
	errs := make(chan error, size.Writers)
	start := time.Now()
	for i := range late {
		go func() {
			for time.Since(start) < size.Append {
				begun := time.Now()
				if err := p.Append(ctx, fmt.Sprint("writer", i), payload(begun, size.Payload)); err != nil {
					errs <- err
					return
				}
				late[i] = append(late[i], time.Since(begun))
			}
			errs <- nil
		}()
	}
	var err error
	for range late {
		err = errors.Join(err, <-errs)
	}
	all := slices.Concat(late...)
	took := time.Since(start)
	return append([]figure{{"append: events/s", float64(len(all)) / took.Seconds(), true}}, quantiles("append", all)...), err
}

// scan reads what is there, in one connection.
func scan(ctx context.Context, p Peer, size Size) ([]figure, error) {
	if err := fill(ctx, p, "log", size.Scan, size.Payload); err != nil {
		return nil, err
	}
	got := 0
	start := time.Now()
	err := p.Subscribe(ctx, "log", "", func() {}, func([]byte, string) bool { got++; return got < size.Scan })
	return []figure{{"catch-up: events/s", float64(got) / time.Since(start).Seconds(), true}}, err
}

func fill(ctx context.Context, p Peer, channel string, n, size int) error {
	if err := p.Channel(ctx, channel); err != nil {
		return err
	}
	for n > 0 {
		page := make([]string, min(n, 500))
		for i := range page {
			page[i] = payload(time.Now(), size)
		}
		if err := p.Fill(ctx, channel, page); err != nil {
			return err
		}
		n -= len(page)
	}
	return nil
}

// crowd is subscribers, each with a connection.
type crowd struct {
	all  sync.WaitGroup
	stop context.CancelFunc
	late [][]time.Duration
	got  atomic.Int64
	err  atomic.Pointer[error]
}

// gather connects subscribers, some of them on each channel, and waits until all
// are subscribed.
func gather(ctx context.Context, p Peer, n, channels int) (*crowd, error) {
	for i := range channels {
		if err := p.Channel(ctx, fmt.Sprint("channel", i)); err != nil {
			return nil, err
		}
	}
	inner, stop := context.WithCancel(ctx)
	c := &crowd{stop: stop, late: make([][]time.Duration, n)}
	ready := make(chan struct{}, n)
	turns := make(chan struct{}, 32) // connect so many at once
	for i := range n {
		c.all.Go(func() {
			turns <- struct{}{}
			var once sync.Once
			subscribed := func() { once.Do(func() { <-turns; ready <- struct{}{} }) }
			err := p.Subscribe(inner, fmt.Sprint("channel", i%channels), End, subscribed, func(text []byte, _ string) bool {
				c.late[i] = append(c.late[i], since(text))
				c.got.Add(1)
				return true
			})
			if err != nil && inner.Err() == nil {
				c.err.Store(&err)
			}
			subscribed()
		})
	}
	for range n {
		select {
		case <-ready:
		case <-ctx.Done():
			stop()
			return nil, ctx.Err()
		}
	}
	return c, c.failed()
}

func (c *crowd) failed() error {
	if err := c.err.Load(); err != nil {
		return *err
	}
	return nil
}

// wait waits until so many deliveries were made.
func (c *crowd) wait(ctx context.Context, n int64) error {
	for c.got.Load() < n {
		if err := c.failed(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d of %d deliveries: %w", c.got.Load(), n, ctx.Err())
		case <-time.After(2 * time.Millisecond):
		}
	}
	return nil
}

func (c *crowd) leave() { c.stop(); c.all.Wait() }

// live appends at a fixed rate and sees when everybody has it. With one channel
// everybody gets every event, with as many as there are subscribers each gets
// the events of its own.
func live(ctx context.Context, p Peer, size Size, channels int) ([]figure, error) {
	before := memory(p.PID())
	c, err := gather(ctx, p, size.Subscribers, channels)
	if err != nil {
		return nil, err
	}
	defer c.leave()
	time.Sleep(time.Second) // idle
	idle := float64(memory(p.PID())-before) / float64(size.Subscribers)
	rate, reach := size.Rate, size.Subscribers
	if channels > 1 {
		rate, reach = 20*size.Rate, size.Subscribers/channels
	}
	cpu, start := processTime(p.PID()), time.Now()
	total := int(size.Live.Seconds() * float64(rate))
	errs := make(chan error, total)
	for i := range total {
		due := start.Add(time.Duration(i) * time.Second / time.Duration(rate))
		time.Sleep(time.Until(due))
		go func() { errs <- p.Append(ctx, fmt.Sprint("channel", i%channels), payload(due, size.Payload)) }()
	}
	for range total {
		if err := <-errs; err != nil {
			return nil, err
		}
	}
	if err := c.wait(ctx, int64(total*reach)); err != nil {
		return nil, err
	}
	took := time.Since(start)
	cpu = processTime(p.PID()) - cpu
	c.leave()
	name := "one channel"
	if channels > 1 {
		name = "many channels"
	}
	deliveries := float64(total * reach)
	list := []figure{{name + ": deliveries/s at the set rate", deliveries / took.Seconds(), true}, {name + ": CPU us/delivery", float64(cpu.Microseconds()) / deliveries, false}}
	if channels == 1 {
		list = append(list, figure{"KB/idle connection", idle, false})
	}
	return append(list, quantiles(name, slices.Concat(c.late...))...), nil
}

// burst appends a second's load of everything at once, to see how fast it comes
// out.
func burst(ctx context.Context, p Peer, size Size) ([]figure, error) {
	c, err := gather(ctx, p, size.Subscribers, 1)
	if err != nil {
		return nil, err
	}
	defer c.leave()
	const events = 200
	page := make([]string, events)
	for i := range page {
		page[i] = payload(time.Now(), size.Payload)
	}
	start := time.Now()
	if err := p.Fill(ctx, "channel0", page); err != nil {
		return nil, err
	}
	err = c.wait(ctx, int64(events*size.Subscribers))
	return []figure{{"burst: deliveries/s", float64(events*size.Subscribers) / time.Since(start).Seconds(), true}}, err
}

// storm has everybody come back at once, each with so many events to catch up.
func storm(ctx context.Context, p Peer, size Size) ([]figure, error) {
	if err := fill(ctx, p, "log", 1, size.Payload); err != nil {
		return nil, err
	}
	place := ""
	if err := p.Subscribe(ctx, "log", "", func() {}, func(_ []byte, at string) bool { place = at; return false }); err != nil {
		return nil, err
	}
	if err := fill(ctx, p, "log", size.Behind, size.Payload); err != nil {
		return nil, err
	}
	took := make([]time.Duration, size.Subscribers)
	errs := make(chan error, size.Subscribers)
	start := time.Now()
	for i := range took {
		go func() {
			got := 0
			err := p.Subscribe(ctx, "log", place, func() {}, func([]byte, string) bool { got++; return got < size.Behind })
			if err == nil && got != size.Behind {
				err = fmt.Errorf("got %d of %d", got, size.Behind)
			}
			took[i] = time.Since(start)
			errs <- err
		}()
	}
	var err error
	for range took {
		err = errors.Join(err, <-errs)
	}
	rate := float64(size.Subscribers*size.Behind) / time.Since(start).Seconds()
	return append([]figure{{"storm: deliveries/s", rate, true}}, quantiles("storm", took)...), err
}
