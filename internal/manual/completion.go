package manual

import (
	"bytes"
	"embed"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/template"

	"pen/internal/config"
)

//go:embed template
var templates embed.FS

// A place is where a value stands: behind options such as "-F", or at places
// of commands such as "include:1".
type place struct {
	At    []string
	Kind  string   // a function of the scripts offers what can stand there
	Words []string // what the kind "words" offers
}

// An option is an option with what its value can be.
type option struct {
	config.Option
	place
}

// Repeats reports whether the option may be given more than once.
func (o option) Repeats() bool { return o.Long == "command" || o.Long == "debug" }

// script is what the templates are made with.
type script struct {
	Options     []option
	Commands    []config.Verb
	OptionArgs  []place // the values of options that take one
	CommandArgs []place
	Keys        []string // of the server command
}

// Completions returns the scripts for shells by the names of their files.
func Completions() (map[string]string, error) {
	var s script
	for _, k := range config.ServerKeys() {
		s.Keys = append(s.Keys, k.Name)
	}
	for _, v := range config.Verbs() {
		if !v.Unused {
			s.command(v)
		}
	}
	for _, o := range config.Options() {
		if !o.Unused {
			s.option(o)
		}
	}
	out := map[string]string{}
	for _, name := range []string{"pen.bash", "pen.zsh", "pen.fish"} {
		text, err := s.write(name)
		if err != nil {
			return nil, err
		}
		out[name] = text
	}
	return out, nil
}

func (s *script) option(o config.Option) {
	p := place{Kind: "none"}
	if all := places(o.Args); len(all) > 0 {
		p = all[0]
	}
	p.At = []string{"--" + o.Long}
	if o.Short != "" {
		p.At = []string{"-" + o.Short, "--" + o.Long}
	}
	s.Options = append(s.Options, option{o, p})
	if o.Args != "" {
		s.OptionArgs = add(s.OptionArgs, p)
	}
}

func (s *script) command(v config.Verb) {
	s.Commands = append(s.Commands, v)
	if strings.Contains(v.Args, "KEY VALUE") { // in any number: the templates have it
		return
	}
	for at, p := range places(inner(v.Args)) {
		p.At = []string{fmt.Sprintf("%s:%d", v.Name, at+1)}
		if p.Kind != "none" {
			s.CommandArgs = add(s.CommandArgs, p)
		}
	}
}

// places tells what can stand at each place of a command, in any of its phrases.
func places(args string) []place {
	var list []place
	for phrase := range strings.SplitSeq(args, " | ") {
		for at, p := range placesOf(phrase) {
			if at == len(list) {
				list = append(list, place{Kind: "none"})
			}
			list[at] = list[at].or(p)
		}
	}
	return list
}

// placesOf is places for one phrase. Words in brackets, [insert PLACE|replace], may
// be left out: what follows them can stand there too.
func placesOf(args string) []place {
	var list []place
	put := func(at int, word string) {
		for len(list) <= at {
			list = append(list, place{Kind: "none"})
		}
		list[at] = list[at].or(placeOf(word))
	}
	next := []int{0} // where the next word can stand
	words := strings.Fields(args)
	for len(words) > 0 {
		n := 1
		for n < len(words) && strings.HasPrefix(words[0], "[") && !strings.HasSuffix(words[n-1], "]") {
			n++
		}
		group := []string{words[0]}
		after := map[int]bool{}
		if n > 1 {
			group = strings.Split(strings.Trim(strings.Join(words[:n], " "), "[]"), "|")
		}
		for _, at := range next {
			if strings.HasPrefix(words[0], "[") && strings.HasSuffix(words[n-1], "]") {
				after[at] = true
			}
			for _, choice := range group {
				for i, word := range strings.Fields(choice) {
					put(at+i, word)
				}
				after[at+len(strings.Fields(choice))] = true
			}
		}
		next, words = slices.Sorted(maps.Keys(after)), words[n:]
	}
	return list
}

// or is a place where what p and q say can stand.
func (p place) or(q place) place {
	if p.Kind == "none" || q.Kind == "words" && p.Kind != "words" {
		return q
	}
	if q.Kind == "words" {
		p.Words = append(slices.Clone(p.Words), q.Words...)
	}
	return p
}

func (s script) write(name string) (string, error) {
	t, err := template.New(name).Funcs(template.FuncMap{
		"join": strings.Join, "quote": quote, "fishquote": fishQuote, "bracket": bracket,
	}).ParseFS(templates, "template/"+name)
	if err != nil {
		return "", err
	}
	var b bytes.Buffer
	err = t.Execute(&b, s)
	return b.String(), err
}

// placeOf tells from how an argument is written what can stand there.
func placeOf(arg string) place {
	p := place{Kind: "none"}
	for _, choice := range strings.Split(strings.Trim(inner(arg), "[]"), "|") {
		name, _, _ := strings.Cut(choice, "[")
		kind := map[string]string{
			"FILE": "file", "PATH": "file", "DIR": "dir", "USER": "user", "COMMAND": "command", "HOST": "host", "LIST": "list", "N-M": "slot",
		}[name]
		switch {
		case name != "" && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789_.") == "" && name != "...":
			p.Kind, p.Words = "words", append(p.Words, name)
		case kind != "" && p.Kind == "none":
			p.Kind = kind
		}
	}
	return p
}

// inner is what stands in brackets that are around all of it.
func inner(args string) string {
	if text, ok := strings.CutPrefix(args, "["); ok && strings.HasSuffix(text, "]") {
		return text[:len(text)-1]
	}
	return args
}

// add joins places that offer the same.
func add(list []place, p place) []place {
	for i, q := range list {
		if q.Kind == p.Kind && strings.Join(q.Words, " ") == strings.Join(p.Words, " ") {
			list[i].At = append(list[i].At, p.At...)
			return list
		}
	}
	p.At = append([]string(nil), p.At...)
	return append(list, p)
}

// quote writes a word for sh and its relatives.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// fishQuote writes a word for fish.
func fishQuote(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}

// bracket makes a text safe between the brackets of zsh's _arguments.
func bracket(s string) string { return strings.NewReplacer(`\`, `\\`, `[`, `\[`, `]`, `\]`).Replace(s) }
