package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// figure is one number of a peer.
type figure struct {
	name   string
	value  float64
	higher bool // is better
}

// quantiles are how long things took, in milliseconds.
func quantiles(name string, all []time.Duration) (list []figure) {
	slices.Sort(all)
	for _, q := range []struct {
		name string
		at   float64
	}{{"p50", 0.5}, {"p99", 0.99}, {"p99.9", 0.999}} {
		v := 0.0
		if len(all) > 0 {
			v = float64(all[int(q.at*float64(len(all)-1))].Microseconds()) / 1000
		}
		list = append(list, figure{fmt.Sprintf("%s: %s ms", name, q.name), v, false})
	}
	return list
}

// table is a row for each figure and a column for each peer.
type table struct {
	rows    []figure
	columns []string
	cells   map[string]map[string]float64
	notes   []string
}

func (t *table) add(peer, version string, list []figure) {
	if t.cells == nil {
		t.cells = map[string]map[string]float64{}
	}
	if !slices.Contains(t.columns, peer) {
		t.columns = append(t.columns, peer)
		t.cells[peer] = map[string]float64{}
		t.notes = append(t.notes, peer+": "+version)
	}
	for _, f := range list {
		if !slices.ContainsFunc(t.rows, func(r figure) bool { return r.name == f.name }) {
			t.rows = append(t.rows, f)
		}
		t.cells[peer][f.name] = f.value
	}
}

func (t *table) fail(peer string, err error) { t.notes = append(t.notes, peer+" failed: "+err.Error()) }

// print writes the table. In parentheses is how many times better the first
// column is; less than 1: it is worse.
func (t *table) print(w io.Writer) {
	fmt.Fprintf(w, "\n%-38s", "")
	for _, c := range t.columns {
		fmt.Fprintf(w, "%24s", c)
	}
	for _, row := range t.rows {
		fmt.Fprintf(w, "\n%-38s", row.name)
		for i, c := range t.columns {
			v, there := t.cells[c][row.name]
			if !there {
				fmt.Fprintf(w, "%24s", "-")
				continue
			}
			text := strconv.FormatFloat(v, 'f', 1, 64)
			if first, ok := t.cells[t.columns[0]][row.name]; i > 0 && ok && first > 0 && v > 0 {
				ratio := first / v
				if !row.higher {
					ratio = v / first
				}
				text += fmt.Sprintf(" (%.2f)", ratio)
			}
			fmt.Fprintf(w, "%24s", text)
		}
	}
	fmt.Fprintf(w, "\n\nIn parentheses: how many times better %s is (below 1: worse).\n%s\n", strings.Join(t.columns[:min(1, len(t.columns))], ""), strings.Join(t.notes, "\n"))
}

// tree is a process and all below it.
func tree(pid int) []int {
	children := map[int][]int{}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		if f := statFields(path); len(f) > 2 {
			parent, _ := strconv.Atoi(f[1])
			id, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			children[parent] = append(children[parent], id)
		}
	}
	all := []int{pid}
	for i := 0; i < len(all); i++ {
		all = append(all, children[all[i]]...)
	}
	return all
}

// statFields are those after the name of a process.
func statFields(path string) []string {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	text := string(b)
	return strings.Fields(text[strings.LastIndex(text, ")")+1:])
}

// processTime is what a process and its children have used of the processors.
func processTime(pid int) (total time.Duration) {
	const tick = 10 * time.Millisecond // Linux: 100 a second, wherever this runs
	for _, p := range tree(pid) {
		if f := statFields(fmt.Sprintf("/proc/%d/stat", p)); len(f) > 12 {
			for _, field := range f[11:13] {
				n, _ := strconv.Atoi(field)
				total += time.Duration(n) * tick
			}
		}
	}
	return total
}

// memory is what they hold, in KB.
func memory(pid int) (total int) {
	for _, p := range tree(pid) {
		b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", p))
		if _, rest, ok := strings.Cut(string(b), "VmRSS:"); ok {
			n, _ := strconv.Atoi(strings.Fields(rest)[0])
			total += n
		}
	}
	return total
}
