package config

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
)

const (
	maxLine   = 4095 // bytes, as in Pen
	maxDepth  = 10   // files that include each other
	maxFiles  = 1000 // in all, since each one may include several
	maxErrors = 1000 // then nobody reads on
	// maxUnquoted is fewer, since errors without words are all alike.
	maxUnquoted = 10
)

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
	if words[0] == "service" {
		if cmd, ok, err := inService(words[1:]); ok {
			return cmd, err
		}
	}
	cmd := Command{No: words[0] == "no" && len(words) > 1}
	if cmd.No {
		words = words[1:]
	}
	cmd.Verb, cmd.Args = find(words[0]), words[1:]
	if cmd.Verb == nil {
		return cmd, fmt.Errorf("unknown command %q%s", shortened(words[0]), didYouMean(words[0], verbNames()))
	}
	if err := cmd.checkLength(); err != nil {
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

// checkLength reports the first word that is too many.
func (cmd Command) checkLength() error {
	v, most, usage := cmd.Verb, cmd.Verb.words.most, cmd.Verb.usage()
	if cmd.No {
		most, usage = v.noWords.most, strings.TrimSpace("no "+v.Name+" "+v.NoArgs)
	}
	if len(cmd.Args) <= most || cmd.No && !v.Negatable {
		return nil
	}
	extra := cmd.Args[most]
	err := fmt.Errorf("%s: %q is one word too many, want %s", v.Name, shortened(extra), usage)
	if verb := within(1, extra, verbNames()); verb != "" {
		err = fmt.Errorf("%w; the command %s stands on a line of its own", err, verb)
	}
	return err
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
	if cmd.No && !v.Negatable {
		return fmt.Errorf("%s: there is no \"no %s\"", v.Name, v.Name)
	}
	if err := cmd.checkMissing(); err != nil || v.set == nil || cmd.asks() && v.asks() {
		return err
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

// checkMissing reports that words are missing.
func (cmd Command) checkMissing() error {
	v := cmd.Verb
	least := v.words.least
	if cmd.No {
		least = v.noWords.least
	}
	switch {
	case len(cmd.Args) > 0 || least == 0 && (cmd.No || v.asks() || v.flag || v.Kind != Setting):
		return nil
	case v.notBuilt:
		return notBuilt(v.Name)
	case v.missing != "":
		return fmt.Errorf("%s: %s", v.Name, v.missing)
	case cmd.No:
		return fmt.Errorf("%s: an argument is missing: no %s %s", v.Name, v.Name, v.NoArgs)
	}
	return fmt.Errorf("%s: an argument is missing: %s %s", v.Name, v.Name, v.value())
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

// Reply is what the control socket answers to a setting, or to the question
// for one: its value, with the end of line, or nothing (section 19), as where
// there is no such service.
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

// An Opener opens a file that a configuration names.
type Opener func(name string) (io.ReadCloser, error)

// ReadFile evaluates a file on top of base: the settings in it are applied in
// order, the actions and questions returned, to be run when Pen has started.
// What stands before its first service line is for the service of that name.
// The error joins all errors of the file and of those that it includes, each
// as "file:line: message"; then the Config is base.
func ReadFile(base Config, service, name string, open Opener) (Config, []Command, error) {
	return readFile(reader{cfg: base, open: open, section: service}, name)
}

// ReadUnquoted is ReadFile for somebody who may not be allowed to read the
// file: errors say which line is wrong and in what way, but none of its words.
func ReadUnquoted(base Config, service, name string, open Opener) (Config, []Command, error) {
	return readFile(reader{cfg: base, open: open, section: service, unquoted: true}, name)
}

func readFile(r reader, name string) (Config, []Command, error) {
	base := r.cfg
	r.cfg.own()
	r.file(name, "")
	if len(r.errs) > 0 {
		return base, nil, errors.Join(r.errs...)
	}
	return r.cfg, r.run, nil
}

// A reader evaluates commands in order.
type reader struct {
	cfg   Config // owns its slices
	run   []Command
	errs  []error
	open  Opener
	stack []string // the files that are being read
	files int      // read so far
	// section is the service that the file being read speaks of.
	section string
	// unquoted keeps what is in files out of errors.
	unquoted bool
}

// file evaluates a file that is included from origin.
func (r *reader) file(name, origin string) {
	r.files++
	switch {
	case slices.Contains(r.stack, path.Clean(name)):
		r.fail(origin, r.unquote(fmt.Errorf("include: %s includes itself", name), "include: this file includes itself"))
		return
	case len(r.stack) > maxDepth:
		r.fail(origin, r.unquote(fmt.Errorf("include: %s is more than %d files deep", name, maxDepth), "include: files are too many deep"))
		return
	case r.files > maxFiles:
		r.fail(origin, r.unquote(fmt.Errorf("include: %s comes after %d files, want no more", name, maxFiles), "include: there are too many files"))
		return
	}
	f, err := r.open(name)
	if err != nil {
		if origin != "" {
			err = r.unquote(err, "include: this file can't be opened")
		}
		r.fail(origin, err)
		return
	}
	defer f.Close()
	// A file that is included begins in the section that it is included from,
	// and what it opens ends with it.
	section := r.section
	r.stack = append(r.stack, path.Clean(name))
	r.lines(name, f)
	r.stack = r.stack[:len(r.stack)-1]
	r.section = section
}

func (r *reader) lines(name string, f io.Reader) {
	in := bufio.NewReader(f)
	if err := skipMark(in); err != nil {
		r.fail(name+":1", err)
		return
	}
	sc := bufio.NewScanner(in)
	sc.Buffer(nil, 2*maxLine)
	n := 0
	for sc.Scan() {
		n++
		r.line(sc.Text(), fmt.Sprintf("%s:%d", name, n))
		if len(r.errs) >= maxErrors || r.unquoted && len(r.errs) >= maxUnquoted {
			return
		}
	}
	err := sc.Err()
	if errors.Is(err, bufio.ErrTooLong) {
		err = errLongLine
	}
	if err != nil {
		r.fail(fmt.Sprintf("%s:%d", name, n+1), err)
	}
}

// skipMark skips the byte order mark that some editors put before UTF-8. One of
// another encoding is an error: nothing after it could be understood.
func skipMark(in *bufio.Reader) error {
	start, _ := in.Peek(4) // as much as there is; an error comes again
	for _, mark := range []struct{ bytes, encoding string }{
		{"\xff\xfe\x00\x00", "UTF-32"}, {"\x00\x00\xfe\xff", "UTF-32"}, {"\xff\xfe", "UTF-16"}, {"\xfe\xff", "UTF-16"},
	} {
		if bytes.HasPrefix(start, []byte(mark.bytes)) {
			return fmt.Errorf("the file is in %s, want UTF-8 or ASCII", mark.encoding)
		}
	}
	if bytes.HasPrefix(start, []byte("\xef\xbb\xbf")) {
		in.Discard(3)
	}
	return nil
}

func (r *reader) line(text, origin string) {
	cmd, err := parseLine(text)
	if err != nil {
		r.fail(origin, r.unquote(err, cmd.wrong()))
		return
	}
	cmd.Origin = origin
	r.command(cmd)
}

func (r *reader) command(cmd Command) {
	if cmd.Verb == nil {
		return
	}
	cmd = cmd.in(r.section)
	switch {
	case cmd.Verb.includes:
		section := r.section
		r.section = cmd.Service
		r.file(cmd.Args[0], cmd.Origin)
		r.section = section
	case cmd.Kind() != Setting:
		r.run = append(r.run, cmd)
	default:
		if err := cmd.apply(&r.cfg); err != nil {
			r.fail(cmd.Origin, r.unquote(err, cmd.wrong()))
			return
		}
		r.after(cmd)
	}
}

// after does what a setting in a file means besides.
func (r *reader) after(cmd Command) {
	switch part, ok := cmd.atOnce(); {
	case ok:
		r.run = append(r.run, part)
	case cmd.Verb.Scope != OfServices:
	case !cmd.No:
		r.section = cmd.Args[0]
	case r.section == cmd.Args[0]:
		r.section = DefaultService
	}
}

// unquote returns an error that may be told: the kind of it, where the words
// may not be.
func (r *reader) unquote(err error, kind string) error {
	if !r.unquoted || errors.Is(err, errLongLine) {
		return err
	}
	return errors.New(kind)
}

// wrong says what is wrong with a command in a file without its words.
func (cmd Command) wrong() string {
	if cmd.Verb == nil {
		return "this line is not a command; pen --check FILE says more"
	}
	return cmd.Verb.Name + ": this line is not right; pen --check FILE says more"
}

func (r *reader) fail(origin string, err error) {
	if origin != "" {
		err = fmt.Errorf("%s: %w", origin, err)
	}
	r.errs = append(r.errs, err)
}
