package config

import (
	"fmt"
	"slices"
	"strings"
)

// A Kind is what a command does.
type Kind int

const (
	Setting  Kind = iota // changes the Config
	Action               // changes the state of what runs
	Question             // changes nothing
)

// A Scope is what a command is about.
type Scope int

const (
	OfService  Scope = iota // one service
	OfPen                   // all of Pen
	OfServices              // the list of services
)

func (s Scope) String() string { return [...]string{"a service", "all of Pen", "the services"}[s] }

// A When is when a setting may be changed.
type When int

const (
	AtRunTime When = iota
	BeforeUse      // until the service listens
	AtStart        // in the options or the file that Pen is started with
)

func (w When) String() string {
	return [...]string{"at run time", "until the service listens", "at the start only"}[w]
}

// A saving is which settings Pen saves, and in what order.
type saving int

const (
	ifSet    saving = iota // where it differs from the default, after all others
	always                 // also where it is the default, as C Pen does
	lastly                 // likewise, after the other ones of C Pen
	notSaved               // another setting has the same value
)

// A Verb is a word of the command language. Its row in the table says everything
// about it: what may follow it, what it does, who may use it and when, and what
// manuals say. Options, files, replies, completions and manuals follow from it.
type Verb struct {
	Name  string
	Group string // of commands that manuals list together
	// Args is what follows the verb: words in capitals stand for something, [ ]
	// may be left out, A|B is a choice of words and A | B one of phrases, and ... is
	// any number of words. All of it in brackets means that the verb by itself asks
	// for its value.
	Args string
	// NoArgs is what follows "no VERB", which is a command where Negatable.
	NoArgs    string
	Negatable bool
	Help      string // what it does, in a line of at most 80 columns
	More      string // what else there is to say, in sentences
	Example   string // a whole command
	See       string // related verbs
	Kind      Kind
	When      When
	Level     Level  // that a client of the control socket needs to use it
	Short     string // its option letter, if it has one
	Long      string // its long option
	Unused    bool   // accepted, without effect

	does
	saved    saving
	notBuilt bool
	mode     bool // the mode command shows it: by itself it is never a question, as in C Pen
	quiet    bool // it replies where it is asked only, as in C Pen
	// none is the reply where nothing is set, and reply the format of any other one.
	none, reply string
	missing     string // the error where words are missing, if it is not the usual one
	includes    bool   // its file is read in its place
	rereads     bool   // its file is read again, also where it is the same one
	// risk returns a higher level that some arguments need; the zero one is none.
	risk func(args []string) Level
	then then // the part of it that is for what runs
	// standIn gives a Config what the command speaks of, so that it can be checked
	// before the true Config is known.
	standIn func(c *Config, cmd Command) Command

	most           int // words, where Args does not say
	words, noWords arity
}

// finish fills in what follows from the rest of the row.
func (v Verb) finish() Verb {
	if v.takes != "" {
		v.Args = v.takes
	}
	if v.flag && v.none == "" {
		v.none = "off"
	}
	v.quiet = v.quiet || v.flag
	if v.reply == "" {
		v.reply = "%s\n"
	}
	v.words, v.noWords = arityOf(v.Args), arityOf(v.NoArgs)
	if v.flag {
		v.words = arity{0, 1}
	}
	if v.most > 0 {
		v.words.most = v.most
	}
	return v
}

// An arity is how many words there may be.
type arity struct{ least, most int }

// many is as many words as a line holds.
const many = maxLine

// arityOf counts the words of what Args or NoArgs says.
func arityOf(args string) arity {
	least, most := many, 0
	for phrase := range strings.SplitSeq(args, " | ") {
		n, optional, depth := 0, 0, 0
		for _, word := range strings.Fields(phrase) {
			n++
			if depth += strings.Count(word, "[") - strings.Count(word, "]"); depth > 0 || strings.HasPrefix(word, "[") {
				optional++
			} else if depth == 0 && strings.HasSuffix(word, "]") && !strings.Contains(word, "[") {
				optional++
			}
		}
		least, most = min(least, n-optional), max(most, n)
	}
	if strings.Contains(args, "...") {
		most = many
	}
	return arity{least, most}
}

// isOptional reports whether all of the arguments may be left out.
func isOptional(args string) bool { return strings.HasPrefix(args, "[") && arityOf(args).least == 0 }

// asks reports whether the verb without a value asks for it.
func (v Verb) asks() bool { return v.values != nil && (v.Kind == Question || isOptional(v.Args)) }

// value is what follows the verb where it is not asked for its value.
func (v Verb) value() string {
	if isOptional(v.Args) && strings.HasSuffix(v.Args, "]") {
		return v.Args[1 : len(v.Args)-1]
	}
	return v.Args
}

// optionValue is what follows the verb's option.
func (v Verb) optionValue() string {
	if v.flag {
		return ""
	}
	return v.value()
}

// usage is how the verb is written.
func (v Verb) usage() string {
	if v.flag {
		return v.Name + " [on|off]"
	}
	return strings.TrimSpace(v.Name + " " + v.value())
}

// Default returns the value of a setting that nobody has set, or an empty
// string where it has none.
func (v Verb) Default() string {
	if v.values == nil || v.Kind != Setting {
		return ""
	}
	c := Default()
	if value := strings.Join(v.values(&c, &c.Services[0]), " "); value != "" {
		return value
	}
	if v.none == "off" {
		return v.none
	}
	return ""
}

// lines are the commands that make a setting again.
func (v Verb) lines(c *Config, s *Service) []string {
	if v.save != nil {
		return v.save(c, s)
	}
	var out []string
	for _, value := range v.values(c, s) {
		if v.flag {
			value = ""
		}
		out = append(out, strings.TrimRight(v.Name+" "+value, " "))
	}
	if out == nil && v.Negatable {
		out = append(out, "no "+v.Name)
	}
	return out
}

// find returns a verb by its name, or nil.
func find(name string) *Verb {
	i, ok := slices.BinarySearchFunc(table, name, func(v Verb, name string) int { return strings.Compare(v.Name, name) })
	if !ok {
		return nil
	}
	return &table[i]
}

// Verbs returns all verbs that are built, in alphabetic order.
func Verbs() []Verb {
	return slices.DeleteFunc(slices.Clone(table), func(v Verb) bool { return v.notBuilt })
}

// verbNames are the names of all verbs.
func verbNames() []string {
	var all []string
	for _, v := range table {
		all = append(all, v.Name)
	}
	return all
}

// A group has the verbs that manuals list together.
type group struct {
	title string
	verbs []Verb
}

// groups has all verbs, in the order of manuals.
func groups() []group {
	return []group{
		{"Services and listeners", listening()},
		{"Servers", serving()},
		{"Choosing a server", balancing()},
		{"Clients that are remembered", remembering()},
		{"Health", checking()},
		{"Limits", limiting()},
		{"UDP", datagrams()},
		{"TLS from clients", securing()},
		{"Certificates from an authority (ACME)", certifying()},
		{"TLS to servers, PROXY protocol, HTTP and routes", edging()},
		{"Access lists", permitting()},
		{"The control socket", controlling()},
		{"The process and its logs", running()},
		{"The configuration", configuring()},
		{"Status", asking()},
		{"For files of C Pen", unused()},
		{"Not built", later()},
	}
}

// Groups returns the titles of the groups of verbs, in the order of manuals.
func Groups() []string {
	var out []string
	for _, g := range groups() {
		out = append(out, g.title)
	}
	return out
}

var (
	// table has all verbs in alphabetic order. It is made by init, since some of
	// them refer to it.
	table []Verb
	// savedVerbs are those that are saved, in their order.
	savedVerbs []*Verb
)

func init() {
	for _, g := range groups() {
		for _, v := range g.verbs {
			v.Group = g.title
			table = append(table, v.finish())
		}
	}
	slices.SortFunc(table, func(a, b Verb) int { return strings.Compare(a.Name, b.Name) })
	for _, when := range []saving{always, lastly, ifSet} {
		for i := range table {
			if v := &table[i]; v.saved == when && v.values != nil && v.Kind == Setting || v.save != nil && v.saved == when {
				savedVerbs = append(savedVerbs, v)
			}
		}
	}
}

// notBuilt is the error for a verb that is not built yet.
type notBuilt string

func (n notBuilt) Error() string { return fmt.Sprintf("not built yet: %s", string(n)) }
