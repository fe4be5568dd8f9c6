package config

import (
	"fmt"
	"strings"
)

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
			o := Option{Short: v.Short, Long: v.Long, Args: v.optionValue(), Help: v.Help, Unused: v.Unused}
			if o.Args != "" {
				o.Default = v.Default()
			}
			out = append(out, o)
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

// Usage is the text that --help prints.
func Usage() string {
	var b strings.Builder
	b.WriteString(`usage: pen [OPTION]... [HOST:]PORT SERVER[:PORT[:MAX[:HARD[:WEIGHT[:PRIO]]]]]...

The port, or the path of a Unix socket, is where clients come; the servers get
them. An IPv6 server stands in brackets: [2001:db8::1]:80.

`)
	for _, o := range Options() {
		fmt.Fprintf(&b, "  %-38s %s\n", strings.TrimRight(o.String()+" "+o.Args, " "), o.Help)
	}
	b.WriteString("\nTimes are in seconds, or 200ms, 5m. penctl's help command lists what else can be said.\n")
	return b.String()
}

// Help is the reply to the help command: all commands in a line each, or more of one.
func Help(name string) (string, error) {
	var b strings.Builder
	for _, v := range Verbs() {
		if name != "" && v.Name != name {
			continue
		}
		usage := v.Name
		if v.Negatable {
			usage = "[no] " + usage
		}
		fmt.Fprintf(&b, "%-46s %s\n", strings.TrimSpace(usage+" "+v.Args), v.Help)
		if name != "" && v.More != "" {
			b.WriteString(v.More + "\n")
		}
	}
	if b.Len() == 0 {
		return "", fmt.Errorf("help: there is no command %q%s", name, didYouMean(name, verbNames()))
	}
	return b.String(), nil
}
