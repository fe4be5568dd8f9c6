//go:build linux

package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"
)

// options are the command line, checked.
type options struct {
	pen    string        // path of our binary
	before string        // path of an earlier one, which takes the place of the other programs
	plane  string        // of ours; empty: its default
	planes []string      // a contender of ours for each; empty: just one
	dir    string        // folder of README.md and results/
	quick  bool          // check only: one short round of everything, no figures
	rounds int           // passes over all contenders, even, so that ABBA is balanced
	length time.Duration // of one round
	conns  int           // idle connections of L4
	moving int           // connections of L9
	loads  []string      // what is measured; empty: everything
}

// loadNames are what -loads takes. P2 are the loads of the second placement, E
// those of what is done at the ends of connections, GC is the look at our garbage collector.
var loadNames = []string{"L1", "L2", "L3", "L4", "L6", "L9", "P2", "E", "GC"}

// planeName is what may name a data plane.
var planeName = regexp.MustCompile(`^[a-z][a-z0-9-]*$`)

// String is the part of the command line that matters to the figures.
func (o options) String() string {
	text := fmt.Sprintf("-rounds %d -seconds %g -conns %d -moving %d", o.rounds, o.length.Seconds(), o.conns, o.moving)
	for _, f := range []struct{ flag, value string }{
		{"before", o.before}, {"plane", o.plane}, {"planes", strings.Join(o.planes, ",")}, {"loads", strings.Join(o.loads, ",")},
	} {
		if f.value != "" {
			text += " -" + f.flag + " " + f.value
		}
	}
	return text
}

// limit is the number of simultaneous connections every proxy is allowed.
func (o options) limit() int { return max(o.conns, o.moving, manyConns) + 200 }

// files is the number of descriptors that a proxy needs for its limit, with
// some to spare for pipes and itself.
func (o options) files() uint64 { return uint64(2*o.limit() + 300) }

// fit lowers the connections of L9 to what files descriptors allow, rounded
// down to hundreds. It says whether that is possible.
func (o *options) fit(files uint64) bool {
	if files < o.files() {
		o.moving = min(o.moving, (int(min(files, 1<<30))-300)/2-200) / 500 * 500
	}
	return o.moving >= 100 && files >= o.files()
}

// wants reports whether a load will be measured.
func (o options) wants(name string) bool { return len(o.loads) == 0 || slices.Contains(o.loads, name) }

// fewer is the number of passes of loads beside the main ones.
func (o options) fewer() int {
	if o.quick {
		return o.rounds
	}
	return max(2, o.rounds*2/3/2*2)
}

// parseOptions reads and checks the command line.
func parseOptions(args []string) (options, error) {
	var o options
	var seconds int
	var planes, names string
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(io.Discard) // errors are printed once, by exit
	f.StringVar(&o.pen, "pen", "bin/pen", "our `binary`")
	f.StringVar(&o.before, "before", "", "an earlier `binary` of ours, to compare with it and nobody else")
	f.StringVar(&o.plane, "plane", "", "`name` of the data plane of ours; empty is its default")
	f.StringVar(&planes, "planes", "", "`names` of data planes, with commas: a contender of ours for each")
	f.StringVar(&o.dir, "dir", "bench", "`folder` that holds README.md and results/")
	f.BoolVar(&o.quick, "quick", false, "one short round of everything, no figures written")
	f.IntVar(&o.rounds, "rounds", 6, "`passes` over all contenders, an even number")
	f.IntVar(&seconds, "seconds", 2, "length of one round in `seconds`")
	f.IntVar(&o.conns, "conns", 4000, "idle `connections` of L4")
	f.IntVar(&o.moving, "moving", 10000, "`connections` of L9, fewer if there are not enough descriptors")
	f.StringVar(&names, "loads", "", "`what` to measure, with commas, of "+strings.Join(loadNames, ",")+"; empty is everything")
	if err := f.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			f.SetOutput(os.Stdout)
			f.PrintDefaults()
		}
		return o, err
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("argument %q: only flags are taken", f.Arg(0))
	}
	o.length, o.planes, o.loads = time.Duration(seconds)*time.Second, list(planes), list(names)
	if err := o.check(seconds); err != nil {
		return o, err
	}
	if o.quick {
		o.rounds, o.length, o.conns, o.moving = 1, 200*time.Millisecond, 500, 500
	}
	return o, nil
}

// check says what is wrong, if anything.
func (o options) check(seconds int) error {
	switch {
	case o.rounds < 2 || o.rounds > 100 || o.rounds%2 != 0:
		return fmt.Errorf("-rounds %d: must be even (ABBA) and 2 to 100", o.rounds)
	case seconds < 1 || seconds > 60:
		return fmt.Errorf("-seconds %d: must be 1 to 60", seconds)
	case o.conns < 100 || o.conns > 9000:
		return fmt.Errorf("-conns %d: must be 100 to 9000", o.conns)
	case o.moving < 100 || o.moving > 20000:
		return fmt.Errorf("-moving %d: must be 100 to 20000", o.moving)
	case o.before != "" && len(o.planes) > 0:
		return errors.New("-before and -planes: only one of them is taken")
	case o.plane != "" && len(o.planes) > 0:
		return errors.New("-plane and -planes: only one of them is taken")
	}
	for _, name := range o.loads {
		if !slices.Contains(loadNames, name) {
			return fmt.Errorf("-loads: %q is none of %s", name, strings.Join(loadNames, ", "))
		}
	}
	names := o.planes
	if o.plane != "" {
		names = []string{o.plane}
	}
	for i, name := range names {
		if !planeName.MatchString(name) || slices.Contains(names[:i], name) {
			return fmt.Errorf("plane %q: must be a name of small letters, digits and -, and each only once", name)
		}
	}
	return nil
}

// list splits text at commas; an empty text has no parts.
func list(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(text, ",")
}
