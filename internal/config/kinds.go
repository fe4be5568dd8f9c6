package config

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"pen/internal/duration"
)

// words checks that there are at least n arguments.
func words(n int) func(*Config, bool, []string) error {
	return func(_ *Config, _ bool, args []string) error {
		if len(args) < n {
			return errors.New("an argument is missing")
		}
		return nil
	}
}

func boolean(name, short, long, help string, field func(*Config) *bool) Verb {
	return Verb{
		Name: name, Short: short, Long: long, Help: help, Negatable: true, flag: true,
		set: func(c *Config, no bool, _ []string) error {
			*field(c) = !no
			return nil
		},
		save: func(c Config) []string { return []string{negated(!*field(&c), name)} },
	}
}

func period(name, short, long, help string, least time.Duration, field func(*Config) *time.Duration) Verb {
	return Verb{
		Name: name, Args: "[TIME]", Short: short, Long: long, Help: help,
		set: func(c *Config, _ bool, args []string) error {
			d, err := ParseDuration(args[0])
			if err == nil && d < least {
				err = fmt.Errorf("%q is too short, want at least %s", args[0], duration.Format(least))
			}
			if err == nil {
				*field(c) = d
			}
			return err
		},
		show: func(c Config) string { return duration.Format(*field(&c)) },
		save: func(c Config) []string { return []string{name + " " + duration.Format(*field(&c))} },
	}
}

func integer(name, short, long, help string, least, most int, field func(*Config) *int) Verb {
	return Verb{
		Name: name, Args: "[N]", Short: short, Long: long, Help: help,
		set: func(c *Config, _ bool, args []string) error {
			what := "number"
			if strings.HasSuffix(name, "_acl") {
				what = "list"
			}
			n, err := parseInt(what, args[0], least, most)
			if err == nil {
				*field(c) = n
			}
			return err
		},
		show: func(c Config) string { return strconv.Itoa(*field(&c)) },
		save: func(c Config) []string { return []string{name + " " + strconv.Itoa(*field(&c))} },
	}
}

// silent is a setting that C Pen does not reply to.
func silent(v Verb) Verb {
	v.show = nil
	return v
}

func text(name, args, short, long, help string, field func(*Config) *string) Verb {
	return Verb{
		Name: name, Args: "[" + args + "]", Short: short, Long: long, Help: help, Negatable: true,
		set: func(c *Config, no bool, args []string) error {
			if no {
				*field(c) = ""
				return nil
			}
			if err := parseWord(args[0]); err != nil {
				return err
			}
			*field(c) = args[0]
			return nil
		},
		show: func(c Config) string { return *field(&c) },
		save: saveText(name, field),
	}
}

func saveText(name string, field func(*Config) *string) func(Config) []string {
	return func(c Config) []string {
		if *field(&c) == "" {
			return []string{"no " + name}
		}
		return []string{name + " " + *field(&c)}
	}
}

// global is a setting for all of Pen.
func global(v Verb) Verb {
	v.global = true
	return v
}

// named is a setting whose value is a name.
func named(v Verb) Verb {
	set := v.set
	v.set = func(c *Config, no bool, args []string) error {
		if !no && !isName(args[0]) {
			return fmt.Errorf("%q can't be a name, want up to %d letters, digits, or one of _ - .", args[0], maxName)
		}
		return set(c, no, args)
	}
	return v
}

// sentence has a setting answer with a sentence around its value.
func sentence(format string, v Verb) Verb {
	value := v.show
	v.show = func(c Config) string { return fmt.Sprintf(format, value(c)) }
	return v
}

// asked has a setting answer with what it is saved as, or with "off".
func asked(v Verb) Verb {
	v.Args = "[" + v.Args + "]"
	v.show = func(c Config) string {
		lines := v.save(c)
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
