package manual

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
)

// picture draws which package imports which, as docs/imports.svg has it. An arrow
// that follows from others is left out.
func picture(root string) (string, error) {
	g, err := readImports(root)
	if err != nil {
		return "", err
	}
	g.arrange()
	return g.svg(), nil
}

// notDrawn are packages that only tests and generators use.
var notDrawn = []string{"testenv", "freeport", "manual", "repolint", "planetest"}

// A room is one package.
type room struct {
	name    string // below the module, without internal/
	imports []*room
	users   []*room
	row     int     // 0 is the top
	x       float64 // of its middle
}

type graph struct {
	rooms []*room
	rows  [][]*room
}

// readImports asks the go command for the packages and their imports.
func readImports(root string) (*graph, error) {
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports", "pen/cmd/...", "pen/internal/...")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	g, by := &graph{}, map[string]*room{}
	paths := map[*room][]string{}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		name := strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, "pen/"), "internal/")
		if slices.ContainsFunc(strings.Split(name, "/"), func(part string) bool { return slices.Contains(notDrawn, part) }) {
			continue
		}
		r := &room{name: name}
		by[p.ImportPath], paths[r] = r, p.Imports
		g.rooms = append(g.rooms, r)
	}
	for _, r := range g.rooms {
		for _, path := range paths[r] {
			if to := by[path]; to != nil {
				r.imports = append(r.imports, to)
				to.users = append(to.users, r)
			}
		}
	}
	return g, nil
}

// reaches reports whether a room imports another, directly or not.
func (r *room) reaches(to *room) bool {
	return slices.ContainsFunc(r.imports, func(i *room) bool { return i == to || i.reaches(to) })
}

// implied reports whether r reaches to through another import as well.
func (r *room) implied(to *room) bool {
	return slices.ContainsFunc(r.imports, func(i *room) bool { return i != to && i.reaches(to) })
}

// arrange puts each room below all that import it, and near them.
func (g *graph) arrange() {
	for _, r := range g.rooms {
		r.row = r.depth()
		for len(g.rows) <= r.row {
			g.rows = append(g.rows, nil)
		}
		g.rows[r.row] = append(g.rows[r.row], r)
	}
	for _, row := range g.rows {
		slices.SortFunc(row, func(a, b *room) int { return cmp.Compare(a.name, b.name) })
		spread(row)
	}
	for range 30 {
		for _, row := range g.rows {
			pull(row)
		}
		for _, row := range slices.Backward(g.rows) {
			pull(row)
		}
	}
}

// depth is the length of the longest way from the top.
func (r *room) depth() int {
	n := 0
	for _, u := range r.users {
		n = max(n, u.depth()+1)
	}
	return n
}

// Sizes in pixels.
const (
	width   = 1180
	height  = 32 // of a room
	between = 60 // two rows
	margin  = 20
	letter  = 7.6
)

func (r *room) width() float64 { return letter*float64(len(r.name)) + 22 }

func (r *room) top() float64 { return float64(margin + r.row*(height+between)) }

// spread puts the rooms of a row in their order, with equal gaps.
func spread(row []*room) {
	free := float64(width - 2*margin)
	for _, r := range row {
		free -= r.width()
	}
	gap := free / float64(len(row)+1)
	x := float64(margin) + gap
	for _, r := range row {
		r.x = x + r.width()/2
		x += r.width() + gap
	}
}

// pull orders a row by the mean place of its neighbours.
func pull(row []*room) {
	mean := map[*room]float64{}
	for _, r := range row {
		sum, n := 0.0, 0.0
		for _, other := range slices.Concat(r.users, r.imports) {
			sum, n = sum+other.x, n+1
		}
		mean[r] = r.x
		if n > 0 {
			mean[r] = sum / n
		}
	}
	slices.SortStableFunc(row, func(a, b *room) int { return cmp.Compare(mean[a], mean[b]) })
	spread(row)
}

// kinds are the colours and what they stand for.
var kinds = []struct{ class, text string }{
	{"program", "programs"}, {"wiring", "configuration, wiring, control"}, {"plane", "planes: move bytes"}, {"policy", "policy: decides, no I/O"}, {"other", "tools of the others"},
}

// The rooms of two kinds; those of others show in their names.
var (
	policy = []string{"acl", "client", "dispatch", "pool"}
	wiring = []string{"app", "build", "config", "control", "engine", "stats", "store"}
)

func (r *room) kind() string {
	switch {
	case strings.HasPrefix(r.name, "cmd/"):
		return "program"
	case strings.HasPrefix(r.name, "plane"):
		return "plane"
	case slices.Contains(policy, r.name):
		return "policy"
	case slices.Contains(wiring, r.name):
		return "wiring"
	}
	return "other"
}

const style = `<style>
text { font: 13px ui-monospace, monospace; text-anchor: middle; fill: #1b1f24 }
.key { text-anchor: start; font-family: system-ui, sans-serif }
rect { stroke-width: 1.2 }
path { fill: none; stroke: #8c959f; stroke-width: 1.1 }
.program rect { fill: #fff8c5; stroke: #d4a72c } .wiring rect { fill: #ffe2d1; stroke: #d97b3d }
.plane rect { fill: #d4edda; stroke: #4a9a5f } .policy rect { fill: #d6e6ff; stroke: #4d7fd0 } .other rect { fill: #f3f4f6; stroke: #9aa3ad }
.paper { fill: #ffffff }
@media (prefers-color-scheme: dark) { .paper { fill: #0d1117 } .key { fill: #e6edf3 } path { stroke: #6e7681 } }
</style>
`

// svg draws the graph.
func (g *graph) svg() string {
	var b bytes.Buffer
	tall := margin*2 + len(g.rows)*(height+between)
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" aria-label="The packages of Pen and what they import">`+"\n", width, tall)
	b.WriteString(style)
	fmt.Fprintf(&b, `<rect class="paper" width="%d" height="%d"/>`+"\n", width, tall)
	for _, r := range g.rooms {
		for _, to := range r.imports {
			if !r.implied(to) {
				y1, y2 := r.top()+height, to.top()
				fmt.Fprintf(&b, `<path d="M%.0f %.0fC%.0f %.0f %.0f %.0f %.0f %.0f"/>`+"\n", r.x, y1, r.x, y1+between*0.7, to.x, y2-between*0.7, to.x, y2)
			}
		}
	}
	for _, r := range g.rooms {
		fmt.Fprintf(&b, `<g class="%s"><rect x="%.0f" y="%.0f" width="%.0f" height="%d" rx="5"/><text x="%.0f" y="%.0f">%s</text></g>`+"\n",
			r.kind(), r.x-r.width()/2, r.top(), r.width(), height, r.x, r.top()+21, r.name)
	}
	for i, k := range kinds {
		x, y := margin+i*225, tall-margin-16
		fmt.Fprintf(&b, `<g class="%s"><rect x="%d" y="%d" width="16" height="16" rx="3"/><text class="key" x="%d" y="%d">%s</text></g>`+"\n", k.class, x, y, x+24, y+13, k.text)
	}
	b.WriteString("</svg>\n")
	return b.String()
}
