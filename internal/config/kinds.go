package config

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"pen/internal/duration"
)

// does is what a verb does to a Config, and to the service that the command is
// for. The service is nil for a verb that is about all of Pen.
type does struct {
	// set applies a setting, or checks the arguments of an action or question.
	set func(c *Config, s *Service, no bool, args []string) error
	// show is the value that applies, as a reply gives it.
	show func(c *Config, s *Service) string
	// save returns the commands that make the setting again.
	save func(c *Config, s *Service) []string
}

// A subject is what a verb is about. A Config is what the service verb is about:
// the list of services.
type subject interface{ Config | Global | Service }

// on is what a verb does to its subject. What is nil it does not do.
type on[T subject] struct {
	set  func(v *T, no bool, args []string) error
	show func(v *T) string
	save func(v *T) []string
}

// row returns a verb that does what is said of its subject.
func row[T subject](v Verb, on on[T]) Verb {
	if _, ok := any((*T)(nil)).(*Service); !ok {
		v.Scope = OfPen
	}
	if on.set != nil {
		v.set = func(c *Config, s *Service, no bool, args []string) error { return on.set(of[T](c, s), no, args) }
	}
	if on.show != nil {
		v.show = func(c *Config, s *Service) string { return on.show(of[T](c, s)) }
	}
	if on.save != nil {
		v.save = func(c *Config, s *Service) []string { return on.save(of[T](c, s)) }
	}
	return v
}

// of returns the subject of a command.
func of[T subject](c *Config, s *Service) *T {
	switch any((*T)(nil)).(type) {
	case *Config:
		return any(c).(*T)
	case *Global:
		return any(&c.Global).(*T)
	}
	return any(s).(*T)
}

// words checks that there are at least n arguments.
func words(n int) func(*Config, *Service, bool, []string) error {
	return func(_ *Config, _ *Service, _ bool, args []string) error {
		if len(args) < n {
			return errors.New("an argument is missing")
		}
		return nil
	}
}

// switched understands what may follow a flag: nothing, on or yes, off or no.
func switched(no bool, args []string) (on bool, err error) {
	switch {
	case no:
		return false, nil
	case len(args) == 0 || args[0] == "on" || args[0] == "yes":
		return true, nil
	case args[0] == "off" || args[0] == "no":
		return false, nil
	}
	return false, noneOf(args[0], "on", "off", "yes", "no")
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

func boolean[T subject](name, short, long, help string, field func(*T) *bool) Verb {
	return row(Verb{
		Name: name, Args: "[on|off]", Short: short, Long: long, Help: help, Negatable: true, flag: true, quiet: true, most: 1,
	}, on[T]{
		set: func(v *T, no bool, args []string) error {
			on, err := switched(no, args)
			if err == nil {
				*field(v) = on
			}
			return err
		},
		show: func(v *T) string { return onOff(*field(v)) },
		save: func(v *T) []string { return []string{negated(!*field(v), name)} },
	})
}

func period[T subject](name, short, long, help string, least time.Duration, field func(*T) *time.Duration) Verb {
	return row(Verb{
		Name: name, Args: "[TIME]", most: 1, Short: short, Long: long, Help: help,
	}, on[T]{
		set: func(v *T, _ bool, args []string) error {
			d, err := ParseDuration(args[0])
			if err == nil && d < least {
				err = fmt.Errorf("%q is too short, want at least %s", args[0], duration.Format(least))
			}
			if err == nil {
				*field(v) = d
			}
			return err
		},
		show: func(v *T) string { return duration.Format(*field(v)) },
		save: func(v *T) []string { return []string{name + " " + duration.Format(*field(v))} },
	})
}

func integer[T subject](name, short, long, help string, least, most int, field func(*T) *int) Verb {
	return row(Verb{
		Name: name, Args: "[N]", most: 1, Short: short, Long: long, Help: help,
	}, on[T]{
		set: func(v *T, _ bool, args []string) error {
			what := "number"
			if strings.HasSuffix(name, "_acl") {
				what = "list"
			}
			n, err := parseInt(what, args[0], least, most)
			if err == nil {
				*field(v) = n
			}
			return err
		},
		show: func(v *T) string { return strconv.Itoa(*field(v)) },
		save: func(v *T) []string { return []string{name + " " + strconv.Itoa(*field(v))} },
	})
}

// quiet is a setting that C Pen does not reply to.
func quiet(v Verb) Verb {
	v.quiet = true
	return v
}

func text[T subject](name, args, short, long, help string, field func(*T) *string) Verb {
	return row(Verb{
		Name: name, Args: "[" + args + "]", most: 1, Short: short, Long: long, Help: help, Negatable: true,
	}, on[T]{
		set: func(v *T, no bool, args []string) error {
			if no {
				*field(v) = ""
				return nil
			}
			if err := parseWord(args[0]); err != nil {
				return err
			}
			*field(v) = args[0]
			return nil
		},
		show: func(v *T) string { return *field(v) },
		save: saveText(name, field),
	})
}

func saveText[T subject](name string, field func(*T) *string) func(*T) []string {
	return func(v *T) []string {
		if *field(v) == "" {
			return []string{"no " + name}
		}
		return []string{name + " " + *field(v)}
	}
}

// moded is a flag that the mode command shows. C Pen's scripts set it by its name
// alone, and ask for it by mode.
func moded(v Verb) Verb {
	v.mode = true
	return v
}

// named is a setting whose value is a name.
func named(v Verb) Verb {
	set := v.set
	v.set = func(c *Config, s *Service, no bool, args []string) error {
		if !no && !isName(args[0]) {
			return fmt.Errorf("%q can't be a name, want up to %d letters, digits, or one of _ - .", args[0], maxName)
		}
		return set(c, s, no, args)
	}
	return v
}

// sentence has a setting answer with a sentence around its value.
func sentence(format string, v Verb) Verb {
	value := v.show
	v.show = func(c *Config, s *Service) string { return fmt.Sprintf(format, value(c, s)) }
	return v
}

// asked has a setting answer with what it is saved as, or with "off".
func asked(v Verb) Verb {
	v.Args = "[" + v.Args + "]"
	v.show = func(c *Config, s *Service) string {
		lines := v.save(c, s)
		for i, line := range lines {
			if line == "no "+v.Name {
				lines[i] = "off"
			}
			lines[i] = strings.TrimPrefix(lines[i], v.Name+" ")
		}
		return strings.Join(lines, "\n")
	}
	return v
}
