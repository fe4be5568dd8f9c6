package config

import "strings"

// An Option is an option of the command line, as lists of them show it.
type Option struct {
	Short   string // its letter, or empty
	Long    string
	Args    string // its value, such as "FILE"; empty where it takes none
	Help    string
	Default string // its value where it is not given, or empty
	Unused  bool   // accepted, without effect
}

// String returns how the option is written, such as "-b, --blacklist".
func (o Option) String() string {
	if o.Short == "" {
		return "    --" + o.Long
	}
	return "-" + o.Short + ", --" + o.Long
}

// Options returns the options that --help lists, in its order: those of the
// verbs are in the order of their names.
func Options() []Option {
	out := []Option{
		{Short: "F", Long: "config", Args: "FILE", Help: "read commands from a file, again at HUP"},
		{Short: "O", Long: "command", Args: "COMMAND", Help: "run a command, as penctl would; -o is the same"},
		{Short: "d", Long: "debug", Help: "more detail in the log; more with each -d"},
	}
	for _, v := range Verbs() {
		if v.Long != "" {
			out = append(out, Option{v.Short, v.Long, v.optionValue(), v.Help, v.Default(), v.Unused})
		}
	}
	return append(
		out,
		Option{Short: "N", Long: "hash-untracked", Help: "the same as -h -r"},
		Option{Long: "check", Help: "check the command line and its file, and end"},
		Option{Short: "V", Long: "version", Help: "print the version"},
		Option{Long: "help", Help: "print this list"},
	)
}

// Verbs returns all verbs that are built, in alphabetic order.
func Verbs() []Verb {
	var out []Verb
	for _, v := range table {
		if !v.notBuilt {
			out = append(out, v)
		}
	}
	return out
}

// Default returns the value of a setting where nothing is said, or an empty
// string where it has none.
func (v Verb) Default() string {
	if v.save == nil || v.flag {
		return ""
	}
	c := Default()
	for _, line := range v.save(&c, &c.Services[0]) {
		if value, ok := strings.CutPrefix(line, v.Name+" "); ok {
			return value
		}
	}
	return ""
}
