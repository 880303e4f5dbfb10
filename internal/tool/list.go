package tool

import (
	"context"
	"fmt"
	"io/fs"
	"strings"
)

type listArgs struct {
	Path  string `json:"path"`
	Depth int    `json:"depth"`
}

const (
	maxListed    = 400
	defaultDepth = 3
)

// list draws a directory as a tree. It spends its entries breadth first, so a
// crowded directory deep down does not hide what lies beside its parents.
func list(ctx context.Context, ws *Workspace, a listArgs) (Result, error) {
	p, err := ws.at(a.Path)
	if err != nil {
		return Result{}, err
	}
	if err := directory(p); err != nil {
		return Result{}, err
	}
	depth := a.Depth
	if depth == 0 {
		depth = defaultDepth
	}
	top := &node{place: p, dir: true}
	if err := grow(ctx, top, min(depth, maxDepth)); err != nil {
		return Result{}, err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s/ (%d deep)\n", p, depth)
	top.draw(&b, 0)
	if len(top.below) == 0 && top.note == "" {
		b.WriteString("(empty)\n")
	}
	return succeed(b.String())
}

// node is an entry of the tree.
type node struct {
	place
	dir   bool
	label string // what follows the name
	note  string // what stands in place of children that are not shown
	below []*node
	level int
}

// grow reads directories level by level until depth or maxListed is reached.
func grow(ctx context.Context, top *node, depth int) error {
	left := maxListed
	for queue := []*node{top}; len(queue) > 0; queue = queue[1:] {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := queue[0]
		entries, err := children(n.place)
		if err != nil {
			if n.note = "cannot be read"; n == top {
				return fileError(n.place, err)
			}
			continue
		}
		entries = directoriesFirst(entries)
		for i, e := range entries {
			if left == 0 {
				n.note = fmt.Sprintf("… %d more", len(entries)-i)
				break
			}
			left--
			child := leaf(n, e)
			n.below = append(n.below, child)
			if child.dir && child.label == "" && child.level < depth {
				queue = append(queue, child)
			}
		}
	}
	return nil
}

func directoriesFirst(entries []fs.DirEntry) []fs.DirEntry {
	var dirs, files []fs.DirEntry
	for _, e := range entries {
		if e.IsDir() {
			dirs = append(dirs, e)
		} else {
			files = append(files, e)
		}
	}
	return append(dirs, files...)
}

func leaf(parent *node, e fs.DirEntry) *node {
	n := &node{place: parent.join(e.Name()), dir: e.IsDir(), level: parent.level + 1}
	switch {
	case n.dir && skipped(e.Name()):
		n.label = "  (not expanded)"
	case e.Type()&fs.ModeSymlink != 0:
		to, _ := n.root.Readlink(n.name)
		n.label = " -> " + quoted(to)
	case e.Type().IsRegular():
		if info, err := e.Info(); err == nil {
			n.label = "  " + size(info.Size())
		}
	case !n.dir:
		n.label = "  (special file)"
	}
	return n
}

func (n *node) draw(b *strings.Builder, indent int) {
	pad := strings.Repeat("  ", indent)
	for _, c := range n.below {
		slash := ""
		if c.dir {
			slash = "/"
		}
		fmt.Fprintf(b, "%s%s%s%s\n", pad, quoted(base(c.place)), slash, c.label)
		c.draw(b, indent+1)
	}
	if n.note != "" {
		fmt.Fprintf(b, "%s%s\n", pad, n.note)
	}
}
