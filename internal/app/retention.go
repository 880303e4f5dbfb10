package app

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"mgx"
	"mgx/internal/event"
)

// Bounds of what can be set, in days.
const (
	LeastKept = 1
	MostKept  = 3650
)

const (
	keptPrefix = "retention."
	keptDay    = 24 * time.Hour
)

// accountable are the categories of events that show what was done and spent. They
// can be kept longer than their contracts say, and not shorter.
var accountable = []string{"billing", "security", "system"}

// SettingStore keeps what is set; *store.Store is one.
type SettingStore interface {
	Settings(ctx context.Context, ws mgx.WorkspaceID) (map[string]string, error)
	ReplaceSettings(ctx context.Context, by mgx.Doer, prefix string, values map[string]string) error
}

// Retention is what an operator may set about how long events are kept, for the
// whole installation.
type Retention struct {
	By        mgx.Doer // of the default workspace
	Store     SettingStore
	Contracts *event.Registry
	// Changed hears of it when the times have changed; nil: nobody does.
	Changed func(map[mgx.EventType]time.Duration)
}

// Kept is for how long the events of a category are kept.
type Kept struct {
	Category string `json:"category"`
	Days     int64  `json:"days,omitempty"` // that are set; 0: each type is kept as its contract says
	Default  []int  `json:"default_days"`   // what contracts say, each once
	Least    int64  `json:"least_days"`
	Most     int64  `json:"most_days"`
	Types    int    `json:"types"`
}

// List lists the categories by name.
func (r *Retention) List(ctx context.Context) ([]Kept, error) {
	set, err := r.set(ctx)
	if err != nil {
		return nil, err
	}
	all := map[string]*Kept{}
	for _, t := range r.Contracts.Types() {
		k := all[t.Category]
		if k == nil {
			k = &Kept{Category: t.Category, Days: set[t.Category], Least: LeastKept, Most: MostKept}
			all[t.Category] = k
		}
		k.Types++
		days := int(t.Retention / keptDay)
		if !slices.Contains(k.Default, days) {
			k.Default = append(k.Default, days)
		}
		if slices.Contains(accountable, t.Category) {
			k.Least = int64(slices.Min(k.Default))
		}
	}
	out := []Kept{}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		slices.Sort(all[name].Default)
		out = append(out, *all[name])
	}
	return out, nil
}

// set reads the days by category.
func (r *Retention) set(ctx context.Context) (map[string]int64, error) {
	stored, err := r.Store.Settings(mgx.ForInstallation(ctx), mgx.DefaultWorkspace)
	days := map[string]int64{}
	for name, value := range stored {
		category, ours := strings.CutPrefix(name, keptPrefix)
		if n, err := strconv.ParseInt(value, 10, 64); ours && err == nil {
			days[category] = n
		}
	}
	return days, err
}

// Keep says for how long events are kept, by type.
func (r *Retention) Keep(ctx context.Context) (map[mgx.EventType]time.Duration, error) {
	days, err := r.set(ctx)
	keep := map[mgx.EventType]time.Duration{}
	for _, t := range r.Contracts.Types() {
		keep[t.Type] = t.Retention
		if n := days[t.Category]; n > 0 {
			keep[t.Type] = time.Duration(n) * keptDay
		}
		if slices.Contains(accountable, t.Category) {
			keep[t.Type] = max(keep[t.Type], t.Retention)
		}
	}
	return keep, err
}

// Set replaces what is set, by category, in days; a category that is not named is
// kept as contracts say.
func (r *Retention) Set(ctx context.Context, days map[string]int64) error {
	all, err := r.List(ctx)
	if err != nil {
		return err
	}
	values := map[string]string{}
	for category, n := range days {
		i := slices.IndexFunc(all, func(k Kept) bool { return k.Category == category })
		if i < 0 {
			return mgx.Errorf(mgx.KindUsage, "bad_retention", "there is no category %q of events; there are %s", category, names(all))
		}
		if n < all[i].Least || n > all[i].Most {
			return mgx.Errorf(mgx.KindUsage, "bad_retention", "events of the category %s are kept for %d to %d days, not %d", category, all[i].Least, all[i].Most, n)
		}
		values[keptPrefix+category] = strconv.FormatInt(n, 10)
	}
	if err := r.Store.ReplaceSettings(ctx, r.By, keptPrefix, values); err != nil {
		return err
	}
	keep, err := r.Keep(ctx)
	if err == nil && r.Changed != nil {
		r.Changed(keep)
	}
	return err
}

func names(all []Kept) string {
	list := make([]string, len(all))
	for i, k := range all {
		list[i] = k.Category
	}
	return strings.Join(list, ", ")
}
