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

func boolean(name, short, long, help string, field func(*Config) *bool) Verb {
	return Verb{
		Name: name, Args: "[on|off]", Short: short, Long: long, Help: help, Negatable: true, flag: true, quiet: true, most: 1,
		set: func(c *Config, no bool, args []string) error {
			on, err := switched(no, args)
			if err == nil {
				*field(c) = on
			}
			return err
		},
		show: func(c Config) string { return onOff(*field(&c)) },
		save: func(c Config) []string { return []string{negated(!*field(&c), name)} },
	}
}

func period(name, short, long, help string, least time.Duration, field func(*Config) *time.Duration) Verb {
	return Verb{
		Name: name, Args: "[TIME]", most: 1, Short: short, Long: long, Help: help,
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
		Name: name, Args: "[N]", most: 1, Short: short, Long: long, Help: help,
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

// quiet is a setting that C Pen does not reply to.
func quiet(v Verb) Verb {
	v.quiet = true
	return v
}

func text(name, args, short, long, help string, field func(*Config) *string) Verb {
	return Verb{
		Name: name, Args: "[" + args + "]", most: 1, Short: short, Long: long, Help: help, Negatable: true,
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

// moded is a flag that the mode command shows. C Pen's scripts set it by its name
// alone, and ask for it by mode.
func moded(v Verb) Verb {
	v.mode = true
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
