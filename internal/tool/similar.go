package tool

import (
	"cmp"
	"context"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// missing says that there is no such file, and which ones may have been meant.
func missing(ctx context.Context, p place) error {
	near := similar(ctx, p)
	if len(near) == 0 {
		return failf("%s does not exist. Use glob or list to find the file.", p)
	}
	return failf("%s does not exist. Did you mean: %s?", p, strings.Join(near, ", "))
}

// similar returns up to three files whose names are close to p's.
func similar(ctx context.Context, p place) []string {
	type candidate struct {
		place
		distance int
	}
	var best []candidate
	want := strings.ToLower(path.Base(p.name))
	top := place{p.root, ".", p.kept, p.hidden}
	walk(ctx, top, func(f place, _ fs.DirEntry) bool {
		if d := distance(want, strings.ToLower(path.Base(f.name))); d <= max(1, len(want)/3) {
			if path.Dir(f.name) != path.Dir(p.name) {
				d = 2*d + 1
			}
			best = append(best, candidate{f, d})
			slices.SortFunc(best, func(a, b candidate) int {
				return cmp.Or(cmp.Compare(a.distance, b.distance), cmp.Compare(a.name, b.name))
			})
			best = best[:min(len(best), 3)]
		}
		return true
	})
	var names []string
	for _, c := range best {
		names = append(names, c.place.String())
	}
	return names
}

// distance is how many bytes have to be added, removed or replaced to make one
// name the other (Levenshtein); a name that begins with the other's stem, as in
// server.go and server_test.go, counts as close.
func distance(a, b string) int {
	if stem := strings.TrimSuffix(a, path.Ext(a)); len(stem) > 2 && strings.HasPrefix(b, stem) {
		return min(1, len(b)-len(stem))
	}
	const longest = 255
	if len(a) > longest || len(b) > longest {
		return longest
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
