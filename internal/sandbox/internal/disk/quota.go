//go:build linux

// Package disk bounds what is kept in directories where the kernel has no quota for
// them: it looks how much there is, while a command runs and when it has ended, and
// says when it is too much.
//
// Looking at everything is slow, so [Quota] first asks the file system how much of it
// is used at all: what is in the directories cannot have grown by more than that has.
// It looks again only when there could be too much by now.
//
// What others delete at the same moment makes that wrong, and nobody says who deleted
// something. So what became less is never taken off what became more before or after;
// and where anything has changed at all, it looks from time to time in any case, for
// not more than a fiftieth of the time. That is when growth is found which another's
// deleting has hidden.
//
// So a command can write more than the quota before it is noticed, by what it writes
// in some tenths of a second; as much as others delete meanwhile, until the next look
// in any case. What it deleted and still holds open is not seen, nor what lies in
// directories that we may not read.
package disk

import (
	"slices"
	"sync"
	"time"
)

// Use is how much there is.
type Use struct {
	Bytes int64 // as blocks of the file system
	Files int64 // directories, links and all else included
}

// beyond reports what of the use is more than allowed; a limit of 0 is none.
func (u Use) beyond(limit Use) Over {
	switch {
	case limit.Bytes > 0 && u.Bytes > limit.Bytes:
		return Bytes
	case limit.Files > 0 && u.Files > limit.Files:
		return Files
	}
	return Nothing
}

// Over says of what there is too much.
type Over int

const (
	Nothing Over = iota
	Bytes
	Files
)

const (
	pollEvery = 100 * time.Millisecond
	// How long to rest after a look, as a multiple of what it took: before one for a
	// reason, and before one in any case.
	restRatio, routineRatio = 10, 50
	routineRest             = time.Second // at least
	// slack is how much may be added where there is too much already: commands
	// that tidy up must be able to run.
	slackBytes, slackFiles = 1 << 20, 100
)

// Quota is that of some directories together. Its methods may be called from
// several goroutines.
type Quota struct {
	limit Use
	dirs  []string

	mu     sync.Mutex
	seen   bool
	use    Use      // when last looked
	on     []growth // of the file system of each directory
	looked time.Time
	took   time.Duration
}

// growth is how much was added to a file system since we looked, as far as it shows.
type growth struct {
	used    Use // when last asked
	added   Use
	changed bool
}

// ask takes how much is used now. Where that is less, somebody has deleted something:
// this says nothing of what was added before.
func (g *growth) ask(now Use) {
	g.added.Bytes += max(0, now.Bytes-g.used.Bytes)
	g.added.Files += max(0, now.Files-g.used.Files)
	g.changed = g.changed || now != g.used
	g.used = now
}

// New bounds what is in dirs; those that do not exist are empty.
func New(limit Use, dirs ...string) *Quota {
	return &Quota{limit: limit, dirs: dirs, on: make([]growth, len(dirs))}
}

// Watch calls over once, when there comes to be too much, and returns a function that
// ends the watch and says whether there is.
func (q *Quota) Watch(over func()) (end func() Over) {
	if q == nil || q.limit == (Use{}) {
		return func() Over { return Nothing }
	}
	limit := q.allowance()
	stop, found := make(chan struct{}), make(chan Over, 1)
	go func() {
		tick := time.NewTicker(pollEvery)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				found <- q.check(limit, true)
				return
			case <-tick.C:
			}
			if too := q.check(limit, false); too != Nothing {
				over()
				<-stop
				q.count(Use{Bytes: 4 * limit.Bytes, Files: 4 * limit.Files}) // it took a moment to die, and made more meanwhile
				found <- too
				return
			}
		}
	}()
	return func() Over {
		close(stop)
		return <-found
	}
}

// allowance is the limit, or a little more than there is where that is beyond it.
func (q *Quota) allowance() Use {
	q.mu.Lock()
	defer q.mu.Unlock()
	limit := q.limit
	if q.seen && q.use.beyond(limit) != Nothing {
		limit.Bytes = max(limit.Bytes, q.use.Bytes+slackBytes)
		limit.Files = max(limit.Files, q.use.Files+slackFiles)
	}
	return limit
}

// check looks, if there could be too much or it is time to; at last is when a command
// has ended.
func (q *Quota) check(limit Use, atLast bool) Over {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ask()
	rested := time.Since(q.looked)
	possible := q.most().beyond(limit) != Nothing && (atLast || rested >= restRatio*q.took)
	routine := q.changed() && rested >= max(routineRest, routineRatio*q.took)
	if !possible && !routine {
		return Nothing
	}
	q.look(limit)
	return q.use.beyond(limit)
}

// count looks in any case, and goes on beyond the limit, which may be reached by
// far.
func (q *Quota) count(most Use) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ask()
	q.look(most)
}

// ask asks the file systems how much of them is used.
func (q *Quota) ask() {
	for i, dir := range q.dirs {
		q.on[i].ask(space(dir))
	}
}

// look counts until there is more than limit. What is added meanwhile is seen or asked
// about, or both.
func (q *Quota) look(limit Use) {
	begin := time.Now()
	q.seen, q.use = true, Use{}
	for i, dir := range q.dirs {
		q.on[i] = growth{used: q.on[i].used}
		add(&q.use, dir, limit)
	}
	q.looked = time.Now()
	q.took = q.looked.Sub(begin)
}

// most is what there can be at most, as far as the file systems show.
func (q *Quota) most() Use {
	most := q.use
	for _, g := range q.on {
		more := g.added
		if !q.seen {
			more = g.used
		}
		most.Bytes += more.Bytes
		most.Files += more.Files
	}
	return most
}

func (q *Quota) changed() bool {
	return slices.ContainsFunc(q.on, func(g growth) bool { return g.changed })
}
