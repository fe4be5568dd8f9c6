// Package manual writes what docs/commands.md, the manual pages and the shell
// completions say of options and commands, from the verb table of package config.
// [Files] returns all of these files. `go generate ./...` writes them, and a test of
// package repolint fails when they are stale. No program uses this package.
package manual

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"pen/internal/config"
)

// Parts returns the generated parts of manual pages in mdoc, by the name in
// their comments: "options", "keys", "settings", "actions", "questions", "unused".
func Parts() map[string]string {
	parts := map[string]string{"options": options(config.Options()), "keys": keys()}
	kinds := map[config.Kind]string{config.Setting: "settings", config.Action: "actions", config.Question: "questions"}
	for _, v := range config.Verbs() {
		name := kinds[v.Kind]
		if v.Unused {
			name = "unused"
		}
		parts[name] += command(v)
	}
	return parts
}

func options(list []config.Option) string {
	var b strings.Builder
	for _, o := range list {
		b.WriteString(".It")
		if o.Short != "" {
			b.WriteString(" Fl " + o.Short + " ,")
		}
		b.WriteString(" Fl -" + o.Long + arguments(o.Args) + "\n" + sentence(o.Help))
		if o.Default != "" {
			b.WriteString("Default: " + escape(o.Default) + ".\n")
		}
	}
	return b.String()
}

// keys are those of the server command.
func keys() string {
	var b strings.Builder
	for _, k := range config.ServerKeys() {
		b.WriteString(".It Cm " + k.Name + arguments(k.Args) + "\n" + sentence(k.Help))
	}
	return b.String()
}

func command(v config.Verb) string {
	item := ".It"
	if v.Negatable {
		item += " Oo Cm no Oc"
	}
	item += " Cm " + v.Name + arguments(v.Args) + "\n" + sentence(v.Help)
	if v.More != "" {
		item += strings.ReplaceAll(escape(v.More), ". ", ".\n") + "\n" // a sentence a line, as mdoc wants
	}
	if v.When != config.AtRunTime {
		item += "It can be changed " + v.When.String() + ".\n"
	}
	if d := v.Default(); d != "" {
		item += "Default: " + escape(d) + ".\n"
	}
	return item
}

// arguments writes such as "N permit|deny [MASK]": what is typed as it stands
// is in lower case, what stands for something else is not.
func arguments(args string) string {
	var b strings.Builder
	for _, word := range strings.Fields(args) {
		if word == "|" {
			b.WriteString(" |")
			continue
		}
		// Brackets may be around this word, around a phrase that it begins or ends, and
		// within it: those are left as they are.
		opened, closed := max(unclosed(word), 0), max(-unclosed(word), 0)
		if rest := word[opened : len(word)-closed]; strings.HasPrefix(rest, "[") && strings.HasSuffix(rest, "]") {
			opened, closed = opened+1, closed+1
		}
		b.WriteString(strings.Repeat(" Oo", opened))
		for i, choice := range strings.Split(word[opened:len(word)-closed], "|") {
			if i > 0 {
				b.WriteString(" |")
			}
			macro := " Ar "
			if choice == strings.ToLower(choice) {
				macro = " Cm "
			}
			b.WriteString(macro + choice)
		}
		b.WriteString(strings.Repeat(" Oc", closed))
	}
	return b.String()
}

// unclosed is how many brackets a word opens and does not close.
func unclosed(word string) int { return strings.Count(word, "[") - strings.Count(word, "]") }

// sentence writes a line of help as a sentence on a line of its own.
func sentence(help string) string {
	if help == "" {
		return ""
	}
	return escape(strings.ToUpper(help[:1])+help[1:]) + ".\n"
}

// escape makes a text safe at the beginning of a line and in it.
func escape(text string) string {
	text = strings.ReplaceAll(text, `\`, `\e`)
	if strings.HasPrefix(text, ".") || strings.HasPrefix(text, "'") {
		text = `\&` + text
	}
	return text
}

// helpLine is a line of a list of options as pflag prints it. A value is one
// word, and at least two spaces stand before the help.
var helpLine = regexp.MustCompile(`(?m)^ +(?:-(\w), )?--([\w-]+)(?:\[=[^ ]*\])?(?: ([^ ]+))?  +(.*)$`)

var defaultValue = regexp.MustCompile(` \(default "?([^()"]*)"?\)$`)

// HelpOptions writes the options of another program as Parts does those of
// Pen. It takes them from what the program prints with --help.
func HelpOptions(help string) string {
	var list []config.Option
	for _, m := range helpLine.FindAllStringSubmatch(help, -1) {
		o := config.Option{Short: m[1], Long: m[2], Args: strings.ToUpper(m[3]), Help: strings.TrimSpace(m[4])}
		if d := defaultValue.FindStringSubmatch(o.Help); d != nil {
			o.Default, o.Help = d[1], strings.TrimSuffix(o.Help, d[0])
		}
		list = append(list, o)
	}
	return options(list)
}

var marker = regexp.MustCompile(`(?m)^\.\\" (BEGIN|END) GENERATED (\w+)\n`)

// Fill returns a page with its generated parts replaced, and their names. It
// fails where a comment has no counterpart or names no part.
func Fill(page string, parts map[string]string) (filled string, names []string, err error) {
	var b strings.Builder
	end := 0
	marks := marker.FindAllStringSubmatchIndex(page, -1)
	for pair := range slices.Chunk(marks, 2) {
		if len(pair) < 2 || page[pair[0][2]:pair[0][3]] != "BEGIN" || page[pair[1][2]:pair[1][3]] != "END" {
			return "", nil, fmt.Errorf("line %d: a comment without its counterpart, want BEGIN GENERATED and then END GENERATED", line(page, pair[0][0]))
		}
		name := page[pair[0][4]:pair[0][5]]
		text, ok := parts[name]
		if !ok || name != page[pair[1][4]:pair[1][5]] {
			return "", nil, fmt.Errorf("line %d: there is no part %q, or another one ends", line(page, pair[0][0]), name)
		}
		b.WriteString(page[end:pair[0][1]] + text + page[pair[1][0]:pair[1][1]])
		end = pair[1][1]
		names = append(names, name)
	}
	return b.String() + page[end:], names, nil
}

// line is the number of the line at an offset.
func line(page string, offset int) int { return 1 + strings.Count(page[:offset], "\n") }
