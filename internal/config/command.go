package config

import (
	"errors"
	"fmt"
	"strings"
)

const maxLine = 4095 // bytes, as in Pen

var errLongLine = fmt.Errorf("a line of more than %d bytes", maxLine)

// A Command is one line, understood and checked. The zero Command is an empty
// line or a comment.
type Command struct {
	Verb *Verb
	No   bool
	Args []string
	// Service is the name of the service that it is for; "" where it is about all
	// of Pen.
	Service string
	Origin  string // where it stands, such as "pen.conf:12"; "" for the control socket
}

// Kind is what this command does. A setting without a value asks for it.
func (cmd Command) Kind() Kind {
	if cmd.asks() {
		return Question
	}
	return cmd.Verb.Kind
}

// asks reports whether this is a setting without a value. A flag without one
// sets it in files and options, as in C Pen; at the control socket it asks,
// unless the mode command is how to ask for it.
func (cmd Command) asks() bool {
	v := cmd.Verb
	if v.Kind != Setting || cmd.No || len(cmd.Args) > 0 {
		return false
	}
	return !v.flag || cmd.Origin == "" && !v.mode
}

// ParseLine understands one line. Words are separated by spaces or tabs, and a
// word that begins with # begins a comment. The command is checked, so that it
// can only fail where it meets the Config. One that names no service is for the
// default one.
func ParseLine(line string) (Command, error) {
	cmd, err := parseLine(line)
	return cmd.in(DefaultService), err
}

// in is the command for a service, unless it names one or is about all of Pen.
func (cmd Command) in(service string) Command {
	if cmd.Service == "" && cmd.Verb != nil && cmd.Verb.Scope == OfService {
		cmd.Service = service
	}
	return cmd
}

// parseLine is ParseLine for a command whose service may be left open.
func parseLine(line string) (Command, error) {
	line = strings.TrimRight(line, "\r\n")
	if len(line) > maxLine {
		return Command{}, errLongLine
	}
	if i := strings.IndexAny(line, "\x00\r\n"); i >= 0 {
		return Command{}, fmt.Errorf("byte %d of the line is %s, want text with line ends of LF or CRLF", i+1, controls[line[i]])
	}
	words := splitWords(line)
	for i, w := range words {
		if w[0] == '#' {
			words = words[:i]
			break
		}
	}
	return parseWords(words)
}

func parseWords(words []string) (Command, error) {
	if len(words) == 0 {
		return Command{}, nil
	}
	if v := find(words[0]); v != nil && v.Scope == OfServices && len(words) > 2 {
		return inService(words[1], words[2:])
	}
	cmd := Command{No: words[0] == "no" && len(words) > 1}
	if cmd.No {
		words = words[1:]
	}
	cmd.Verb, cmd.Args = find(words[0]), words[1:]
	if cmd.Verb == nil {
		return cmd, fmt.Errorf("unknown command %q%s", shortened(words[0]), didYouMean(words[0], verbNames()))
	}
	if err := cmd.checkWords(); err != nil {
		return cmd, err
	}
	cmd = cmd.withoutOff()
	return cmd, cmd.check()
}

// controls are bytes that no line may have, in words.
var controls = map[byte]string{0: "NUL", '\r': "a carriage return", '\n': "a line feed"}

// shortened cuts a word that is too long for an error.
func shortened(word string) string {
	if len(word) > maxNearest {
		return word[:maxNearest] + "..."
	}
	return word
}

// checkWords reports a word that is missing, or the first one that is too many.
func (cmd Command) checkWords() error {
	v, want, usage := cmd.Verb, cmd.Verb.words, cmd.Verb.usage()
	if cmd.No {
		want, usage = v.noWords, strings.TrimSpace("no "+v.Name+" "+v.NoArgs)
	}
	n := len(cmd.Args)
	switch {
	case cmd.No && !v.Negatable:
		return fmt.Errorf("%s: there is no \"no %s\"", v.Name, v.Name)
	case n > want.most:
		extra := cmd.Args[want.most]
		err := fmt.Errorf("%s: %q is one word too many, want %s", v.Name, shortened(extra), usage)
		if verb := within(1, extra, verbNames()); verb != "" {
			err = fmt.Errorf("%w; the command %s stands on a line of its own", err, verb)
		}
		return err
	case n > 0 || want.least == 0 && (cmd.No || v.flag || v.asks() || v.Kind != Setting):
		return nil
	case v.notBuilt:
		return notBuilt(v.Name)
	case v.missing != "":
		return fmt.Errorf("%s: %s", v.Name, v.missing)
	}
	return fmt.Errorf("%s: an argument is missing: %s", v.Name, usage)
}

// withoutOff writes "NAME off" as "no NAME", where that is a command. So does a
// flag's "NAME no".
func (cmd Command) withoutOff() Command {
	v := cmd.Verb
	if cmd.No || !v.Negatable || v.noWords.least > 0 || len(cmd.Args) != 1 {
		return cmd
	}
	if word := cmd.Args[0]; word == "off" || v.flag && word == "no" {
		cmd.No, cmd.Args = true, nil
	}
	return cmd
}

// check applies the command to a Config that is thrown away.
func (cmd Command) check() error {
	v := cmd.Verb
	if v.set == nil || cmd.asks() && v.asks() {
		return nil
	}
	c := Default()
	if v.standIn != nil {
		cmd = v.standIn(&c, cmd)
	}
	set := v.set
	if v.try != nil {
		set = v.try
	}
	return cmd.applyWith(set, &c, &c.Services[0])
}

// apply changes a Config that owns its slices, or returns an error and changes
// nothing.
func (cmd Command) apply(c *Config) error {
	var s *Service
	if cmd.Verb.Scope == OfService {
		if s = c.Service(cmd.Service); s == nil {
			return c.noService(cmd.Service)
		}
	}
	return cmd.applyWith(cmd.Verb.set, c, s)
}

// applyWith is apply with a function in the place of the verb's own.
func (cmd Command) applyWith(set func(c *Config, s *Service, no bool, args []string) error, c *Config, s *Service) error {
	err := set(c, s, cmd.No, cmd.Args)
	if err == nil || errors.As(err, new(notBuilt)) {
		return err
	}
	return fmt.Errorf("%s: %w", cmd.Verb.Name, err)
}

// With returns the Config with a setting applied. After an error it is the
// same as before.
func (c Config) With(cmd Command) (Config, error) {
	next := c
	if cmd.Verb == nil || cmd.Kind() != Setting {
		return c, nil
	}
	next.own()
	if err := cmd.apply(&next); err != nil {
		return c, err
	}
	return next, nil
}

// Reply returns the reply to a setting, or to the question for one: its value with
// an end of line, or nothing (section 19). It is nothing where c has no such service.
func (cmd Command) Reply(c Config) string {
	v, s := cmd.Verb, c.Service(cmd.Service)
	if s == nil && v.Scope == OfService || !v.asks() || cmd.No || v.quiet && !cmd.asks() {
		return ""
	}
	if value := strings.Join(v.values(&c, s), "\n"); value != "" {
		return fmt.Sprintf(v.reply, value)
	}
	if v.none != "" {
		return v.none + "\n"
	}
	return ""
}
