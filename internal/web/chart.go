package web

import (
	"slices"
	"strconv"
	"time"

	"mgx"
)

// chart is bars over time, drawn on the server. Each bar is a stack of the same
// series, in their order.
type chart struct {
	Label  string // says in words what it shows
	Top    string // the amount at the top of the scale, and at its half
	Half   string
	First  string // what the first, the middle and the last bar are of
	Middle string
	Last   string
	Bars   []bar
	Series []series
}

// bar is one bar: an invisible one over the whole height tells on hover what it is.
type bar struct {
	X, Width string
	Title    string
	Parts    []barPart
}

type barPart struct {
	N         int // of the series, whose colour it has
	Y, Height string
}

// series is what one colour stands for.
type series struct {
	N     int
	Name  string
	Total string
}

// chartWidth and chartHeight are the size of the drawing in units of its own; it is
// as wide as the page.
const (
	chartWidth  = 600.0
	chartHeight = 160.0
)

// bars draws stacks of amounts against a scale of top; title names a bar.
func bars(stacks [][]float64, top float64, title func(int) string) []bar {
	step := chartWidth / float64(max(1, len(stacks)))
	all := make([]bar, len(stacks))
	for i, stack := range stacks {
		all[i] = bar{X: coordinate(float64(i)*step + step*0.12), Width: coordinate(step * 0.76), Title: title(i)}
		y := chartHeight
		for n, amount := range stack {
			if amount <= 0 || top <= 0 {
				continue
			}
			h := amount / top * chartHeight
			y -= h
			all[i].Parts = append(all[i].Parts, barPart{N: n, Y: coordinate(y), Height: coordinate(h)})
		}
	}
	return all
}

func coordinate(f float64) string { return strconv.FormatFloat(f, 'f', 2, 64) }

// scale is the least of 1, 2 and 5 times a power of ten that is not less than n,
// for the top of a scale.
func scale(n int64) int64 {
	for top := int64(1); ; top *= 10 {
		for _, f := range []int64{1, 2, 5} {
			if top*f >= n || top > 1e17 {
				return top * f
			}
		}
	}
}

// costChart draws what was spent on each of some days, of which costs knows those
// with any, and makes the table behind it, the newest first.
func (s *site) costChart(first time.Time, days int, costs map[string]mgx.Money, label func(all string) string) (chart, []usageDay) {
	stacks := make([][]float64, days)
	var most, all mgx.Money
	var table []usageDay
	for i := range days {
		day := first.AddDate(0, 0, i).Format(time.DateOnly)
		cost, known := costs[day]
		stacks[i] = []float64{float64(cost)}
		if most, all = max(most, cost), all+cost; known {
			table = append(table, usageDay{Day: day, Total: money(cost)})
		}
	}
	slices.Reverse(table)
	top := max(scale(int64(most)), int64(mgx.USD/100))
	name := func(i int) string { return first.AddDate(0, 0, i).Format("2 Jan") }
	return chart{
		Label: label(money(all)), Top: money(mgx.Money(top)), Half: money(mgx.Money(top / 2)), First: name(0), Middle: name(days / 2), Last: name(days - 1),
		Bars: bars(stacks, float64(top), func(i int) string { return name(i) + ": " + money(mgx.Money(stacks[i][0])) }),
	}, table
}
