package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// maxServices bounds what a slip of the finger costs.
const maxServices = 10_000

// Listens reports whether any service has an address to listen on.
func (c Config) Listens() bool {
	return slices.ContainsFunc(c.Services, func(s Service) bool { return s.Listen != "" })
}

// AnyServer reports whether any service could serve a client.
func (c Config) AnyServer() bool { return slices.ContainsFunc(c.Services, Service.HasServer) }

// AnyTransparent reports whether any service is transparent.
func (c Config) AnyTransparent() bool {
	return slices.ContainsFunc(c.Services, func(s Service) bool { return s.Transparent })
}

// Service returns the service of a name, which is c's own, or nil.
func (c Config) Service(name string) *Service {
	if i := c.indexOf(name); i >= 0 {
		return &c.Services[i]
	}
	return nil
}

// indexOf finds a service by its name.
func (c *Config) indexOf(name string) int {
	for i := range c.Services {
		if c.Services[i].Name == name {
			return i
		}
	}
	return -1
}

func (c Config) noService(name string) error {
	var names []string
	for _, s := range c.Services[1:] {
		names = append(names, s.Name)
	}
	if names == nil {
		return fmt.Errorf("there is no service %s, nor any other with a name; service %s makes one", name, name)
	}
	return fmt.Errorf("there is no service %s; there are: %s", name, strings.Join(names[:min(len(names), 20)], " "))
}

// InService says in which service an error is, unless it is the first one; nil stays
// nil.
func InService(name string, err error) error {
	if name == DefaultService || err == nil {
		return err
	}
	return fmt.Errorf("service %s: %w", name, err)
}

// Describe is what a service is called in errors that concern several.
func Describe(service string) string {
	if service == DefaultService {
		return "default service"
	}
	return "service " + service
}

// setService is the service verb by itself: it makes a service, or ends one.
func setService(c *Config, no bool, args []string) error {
	if len(args) == 0 {
		return errors.New("want a name: service NAME")
	}
	name := args[0]
	i := c.indexOf(name)
	switch {
	case no && i < 0:
		return c.noService(name)
	case no && i == 0:
		return fmt.Errorf("%s is the first service, which can't be ended; no listen takes its addresses away", name)
	case no:
		c.Services = slices.Delete(c.Services, i, i+1)
	case i >= 0:
	case !isName(name):
		return fmt.Errorf("%q can't be a name, want up to %d letters, digits, or one of _ - .", name, maxName)
	case len(c.Services) > maxServices:
		return fmt.Errorf("there are %d services already, want no more", maxServices)
	default:
		c.Services = append(c.Services, defaultService(name))
	}
	return nil
}

const maxName = 64

// isName reports whether a word can name a service, a table or a server.
func isName(s string) bool {
	return s != "" && len(s) <= maxName && s[0] != '-' && !strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_-.", r))
	})
}

// inService reads "NAME COMMAND..." after the word service, a command to one
// service. It reports false where there is a name only.
func inService(words []string) (Command, bool, error) {
	if len(words) < 2 {
		return Command{}, false, nil
	}
	cmd, err := parseWords(words[1:])
	switch {
	case err != nil:
	case cmd.Verb == nil:
	case cmd.Verb.Name == "service":
		err = errors.New("service: a service has no services of its own")
	case cmd.Verb.Scope == OfPen:
		err = fmt.Errorf("service %s: %s is for all of Pen: say it without service %s", words[0], cmd.Verb.Name, words[0])
	}
	if err != nil {
		return Command{}, true, err
	}
	cmd.Service = words[0]
	return cmd, true, nil
}
