package config

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
)

const (
	maxDepth    = 10   // files that include each other
	maxFiles    = 1000 // in all, since each one may include several
	maxErrors   = 1000 // then nobody reads on
	maxUnquoted = 10   // fewer: errors without words are all alike
)

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

// ReadUnquoted is ReadFile for a client that may not be allowed to read the file:
// errors say which line is wrong and in what way, but none of its words.
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
