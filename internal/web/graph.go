package web

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"mgx/internal/app"
)

// A graph is nodes in layers, each after all that it comes after, drawn on the server
// as SVG: of an execution its stretches of steps now, of a definition its steps. What
// it draws is said again by the table below it.

// graph is one that is laid out.
type graph struct {
	Nodes         []graphNode
	Edges         []graphEdge
	Width, Height int
}

// graphNode is one thing that is done. After names what it comes after, by the places
// of those in the list.
type graphNode struct {
	Label, State string
	Note         string // how much it is
	Link         string // where it is told in full
	After        []int

	X, Y  int
	layer int
}

// graphEdge is a line between two nodes.
type graphEdge struct {
	Path  string
	State string // of the node that it leads to
}

// Sizes of what is drawn, in pixels at its natural size.
const (
	nodeWidth  = 190
	nodeHeight = 48
	nodeGapX   = 46
	nodeGapY   = 16
	graphEdges = 8
	mostLabel  = 18 // characters that fit in a node
)

// layOut places nodes: each in the layer after the last of those that it comes after,
// and within a layer near to them. Nodes that come after themselves are taken as
// coming after nothing, so it always ends.
func layOut(nodes []graphNode) *graph {
	g := &graph{Nodes: nodes}
	layers := g.layers()
	deepest := 0
	for _, layer := range layers {
		deepest = max(deepest, len(layer))
	}
	g.Height = 2*graphEdges + deepest*nodeHeight + max(0, deepest-1)*nodeGapY
	for l, layer := range layers {
		g.order(layer)
		top := (g.Height - len(layer)*nodeHeight - (len(layer)-1)*nodeGapY) / 2
		for row, n := range layer {
			g.Nodes[n].X = graphEdges + l*(nodeWidth+nodeGapX)
			g.Nodes[n].Y = top + row*(nodeHeight+nodeGapY)
		}
	}
	g.Width = 2*graphEdges + len(layers)*nodeWidth + max(0, len(layers)-1)*nodeGapX
	for i, n := range g.Nodes {
		for _, from := range n.After {
			if from >= 0 && from < len(g.Nodes) && from != i {
				g.Edges = append(g.Edges, edge(g.Nodes[from], n))
			}
		}
	}
	return g
}

// layers are the nodes by how many lie before them on the longest way.
func (g *graph) layers() (layers [][]int) {
	const unseen, open = 0, 1
	seen := make([]int, len(g.Nodes))
	var depth func(n int) int
	depth = func(n int) int {
		if seen[n] != unseen {
			return g.Nodes[n].layer // of one that is open: a circle ends here
		}
		seen[n] = open
		for _, before := range g.Nodes[n].After {
			if before >= 0 && before < len(g.Nodes) && before != n {
				g.Nodes[n].layer = max(g.Nodes[n].layer, depth(before)+1)
			}
		}
		seen[n]++
		return g.Nodes[n].layer
	}
	for n := range g.Nodes {
		l := depth(n)
		for len(layers) <= l {
			layers = append(layers, nil)
		}
		layers[l] = append(layers[l], n)
	}
	return layers
}

// order puts the nodes of a layer in the order of what they come after.
func (g *graph) order(layer []int) {
	at := map[int]int{}
	for _, n := range layer {
		sum, count := 0, 0
		for _, before := range g.Nodes[n].After {
			if before >= 0 && before < len(g.Nodes) {
				sum, count = sum+g.Nodes[before].Y, count+1
			}
		}
		if count > 0 {
			at[n] = sum / count
		}
	}
	slices.SortStableFunc(layer, func(a, b int) int { return cmp.Compare(at[a], at[b]) })
}

// edge is a curve from the right of one node to the left of another.
func edge(from, to graphNode) graphEdge {
	x1, y1, x2, y2 := from.X+nodeWidth, from.Y+nodeHeight/2, to.X, to.Y+nodeHeight/2
	bend := max(nodeGapX/2, (x2-x1)/2)
	return graphEdge{fmt.Sprintf("M%d %dC%d %d %d %d %d %d", x1, y1, x1+bend, y1, x2-bend, y2, x2, y2), to.State}
}

// Mid is where the icon of a node is, TextX and so on where its words are.
func (n graphNode) IconX() int { return n.X + 10 }
func (n graphNode) IconY() int { return n.Y + 9 }
func (n graphNode) TextX() int { return n.X + 32 }
func (n graphNode) TextY() int { return n.Y + 20 }
func (n graphNode) NoteY() int { return n.Y + 37 }

// stretch is steps of one name in a row, or beside others.
type stretch struct {
	key        string
	first      string // name of its first step
	begin, end time.Time
	steps      int
	running    bool
	failed     bool // its last step
}

// mostNodes is how many stretches are drawn; those in the middle of more are one.
const mostNodes = 80

// stretches are those of an execution, in order. Two steps of one name are of one
// stretch when nothing else began and ended between them.
func stretches(steps []app.StepInfo, now time.Time) (all []stretch) {
	last := map[string]int{}
	for _, s := range steps {
		key, _, _ := strings.Cut(s.Name, "/")
		begin, end := s.StartedAt, s.EndedAt
		if begin.IsZero() {
			begin = end
		}
		if end.IsZero() {
			end = now
		}
		i, known := last[key]
		if !known || !goesOn(all, i) {
			i = len(all)
			last[key] = i
			all = append(all, stretch{key: key, first: s.Name, begin: begin, end: end})
		}
		one := &all[i]
		one.steps++
		if begin.Before(one.begin) {
			one.begin = begin
		}
		if end.After(one.end) {
			one.end = end
		}
		one.running = one.running || s.State == "running"
		one.failed = s.State == "failed"
	}
	return all
}

// goesOn reports whether a stretch can go on: whatever came after it began before it
// ended.
func goesOn(all []stretch, i int) bool {
	for _, other := range all[i+1:] {
		if !other.begin.Before(all[i].end) {
			return false
		}
	}
	return true
}

// middleAway makes one stretch of those in the middle when there are too many.
func (v *visit) middleAway(all []stretch) []stretch {
	if len(all) <= mostNodes {
		return all
	}
	from, to := mostNodes/4, len(all)-(mostNodes-mostNodes/4-1)
	one := all[from]
	one.key = v.site.t("graph.more", to-from)
	for _, s := range all[from+1 : to] {
		one.steps += s.steps
		if s.end.After(one.end) {
			one.end = s.end
		}
		one.failed, one.running = s.failed, one.running || s.running
	}
	return slices.Concat(all[:from], []stretch{one}, all[to:])
}

// graphOf draws the steps of an execution: what began after something ended comes
// after it, unless something lies between.
func (v *visit) graphOf(x app.ExecutionSteps, now time.Time) *graph {
	all := v.middleAway(stretches(x.Steps, now))
	if len(all) == 0 {
		return nil
	}
	nodes := make([]graphNode, len(all), len(all)+1)
	for i, s := range all {
		nodes[i] = graphNode{Label: middle(mostLabel, s.key), State: s.state(), Note: v.noteOf(s), Link: "#" + stepAnchor(s.first), After: after(all, i)}
	}
	if len(x.Awaits) > 0 && !x.Status.Ended() {
		wait := graphNode{Label: middle(mostLabel, x.Awaits[0]), State: "waiting", Note: v.site.t("graph.waits"), Link: "#execution"}
		for i := range all {
			if !slices.ContainsFunc(nodes[:len(all)], func(n graphNode) bool { return slices.Contains(n.After, i) }) {
				wait.After = append(wait.After, i)
			}
		}
		nodes = append(nodes, wait)
	}
	return layOut(nodes)
}

func (v *visit) noteOf(s stretch) string {
	lasted := took(max(0, s.end.Sub(s.begin)))
	if s.steps == 1 {
		return v.site.t("graph.note.one", lasted)
	}
	return v.site.t("graph.note", whole(s.steps), lasted)
}

func (s stretch) state() string {
	switch {
	case s.running:
		return "running"
	case s.failed:
		return "failed"
	}
	return "done"
}

// after are the places of those that end before one begins, without those that
// another of them comes after.
func after(all []stretch, i int) (direct []int) {
	ends := func(a, b int) bool {
		return a != b && !all[a].end.After(all[b].begin) && (a < b || all[a].begin.Before(all[b].begin))
	}
	for a := range all {
		if !ends(a, i) {
			continue
		}
		between := false
		for c := range all {
			between = between || c != a && c != i && ends(a, c) && ends(c, i)
		}
		if !between {
			direct = append(direct, a)
		}
	}
	return direct
}

// stepAnchor names a step within the page.
func stepAnchor(name string) string { return fmt.Sprintf("step-%d", numberOf(name)) }
