//go:build linux

// Package disk bounds what is kept in directories where the kernel has no quota for
// them: it looks how much there is, while a command runs and when it has ended, and
// says when it is too much.
//
// Looking at everything is slow, so [Quota] first asks the file system how much of it
// is used at all: what is in the directories cannot have grown by more than that has.
// It looks again only when there could be too much by now.
//
// So a command can write more than the quota before it is noticed, by what it writes
// in some tenths of a second. What it deleted and still holds open is not seen, nor
// what lies in directories that we may not read.
package disk

import (
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
	// restRatio is how long to rest after a look, as a multiple of what it took.
	restRatio = 10
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
	use    Use   // when last looked
	spaces []Use // of the file system of each directory, just before
	rest   time.Time
}

// New bounds what is in dirs; those that do not exist are empty.
func New(limit Use, dirs ...string) *Quota { return &Quota{limit: limit, dirs: dirs} }

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

// check looks, if there could be too much and it is not too soon; at last is when a
// command has ended.
func (q *Quota) check(limit Use, atLast bool) Over {
	q.mu.Lock()
	defer q.mu.Unlock()
	spaces := make([]Use, len(q.dirs))
	for i, dir := range q.dirs {
		spaces[i] = space(dir)
	}
	if q.most(spaces).beyond(limit) == Nothing || !atLast && time.Now().Before(q.rest) {
		return Nothing
	}
	q.look(spaces, limit)
	return q.use.beyond(limit)
}

// count looks in any case, and goes on beyond the limit, which may be reached by
// far.
func (q *Quota) count(most Use) {
	q.mu.Lock()
	defer q.mu.Unlock()
	spaces := make([]Use, len(q.dirs))
	for i, dir := range q.dirs {
		spaces[i] = space(dir)
	}
	q.look(spaces, most)
}

// look counts until there is more than limit.
func (q *Quota) look(spaces []Use, limit Use) {
	begin := time.Now()
	q.seen, q.spaces, q.use = true, spaces, Use{}
	for _, dir := range q.dirs {
		add(&q.use, dir, limit)
	}
	q.rest = time.Now().Add(restRatio * time.Since(begin))
}

// most is what there can be at most, as the file systems now are.
func (q *Quota) most(spaces []Use) Use {
	most := q.use
	for i, s := range spaces {
		if !q.seen {
			most.Bytes += s.Bytes
			most.Files += s.Files
			continue
		}
		most.Bytes += max(0, s.Bytes-q.spaces[i].Bytes)
		most.Files += max(0, s.Files-q.spaces[i].Files)
	}
	return most
}
