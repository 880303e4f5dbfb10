package llm

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// A watchdog bites to the instant, whether signs of life come or not.
func TestWatchdog(t *testing.T) {
	t.Parallel()
	const s = time.Second
	for name, c := range map[string]struct {
		signs  []time.Duration // after its start; the first is content
		bites  string
		within time.Duration
	}{
		"nothing comes":             {nil, "first 20s", 20 * s},
		"it falls silent":           {[]time.Duration{5 * s}, "then 7s", 12 * s},
		"shortly before":            {[]time.Duration{19 * s, 25 * s, 31 * s}, "then 7s", 38 * s},
		"many signs":                {[]time.Duration{s, 2 * s, 3 * s, 4 * s, 5 * s, 11 * s, 17 * s, 23 * s}, "then 7s", 30 * s},
		"it never ends":             {[]time.Duration{9 * s, 15 * s, 21 * s, 27 * s, 33 * s, 39 * s, 45 * s}, "no whole answer within 50s", 50 * s},
		"silence to the very end":   {[]time.Duration{19 * s, 25 * s, 31 * s, 37 * s, 43 * s}, "no whole answer within 50s", 50 * s},
		"a sign at the very moment": {[]time.Duration{5 * s, 11 * s, 18*s - 1}, "then 7s", 25*s - 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				started := time.Now()
				bitten := make(chan string, 10)
				dog := watch(50*s, 20*s, "first %s", func(says string, after time.Duration) { bitten <- fmt.Sprintf(says, after) })
				for i, at := range c.signs {
					time.Sleep(at - time.Since(started))
					if i == 0 {
						dog.expect(7*s, "then %s")
					} else {
						dog.alive()
					}
				}
				if got := <-bitten; got != c.bites || time.Since(started) != c.within {
					t.Errorf("bit after %s: %s", time.Since(started), got)
				}
				dog.stop()
				time.Sleep(time.Hour)
				if len(bitten) > 0 {
					t.Errorf("bit again: %s", <-bitten)
				}
			})
		})
	}
}
