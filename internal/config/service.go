package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// maxServices bounds what a slip of the finger costs.
const maxServices = 10_000

// All returns the services in order, the one without a name first.
func (c Config) All() []Service { return append([]Service{c.Service}, c.Services...) }

// Listens reports whether any service has an address to listen on.
func (c Config) Listens() bool {
	return slices.ContainsFunc(c.All(), func(s Service) bool { return s.Listen != "" })
}

// AnyServer reports whether any service could serve a client.
func (c Config) AnyServer() bool { return slices.ContainsFunc(c.All(), Service.HasServer) }

// AnyTransparent reports whether any service is transparent.
func (c Config) AnyTransparent() bool {
	return slices.ContainsFunc(c.All(), func(s Service) bool { return s.Transparent })
}

// In returns the Config as the commands of one service see it: with that
// service in the place of the first. It reports false where there is none of
// this name.
func (c Config) In(name string) (Config, bool) {
	if i := c.indexOf(name); i >= 0 {
		c.Service = c.Services[i]
	} else if name != "" {
		return c, false
	}
	return c, true
}

// indexOf finds a service by its name, which is not empty. A Service is large,
// so none is copied.
func (c *Config) indexOf(name string) int {
	for i := range c.Services {
		if c.Services[i].Name == name {
			return i
		}
	}
	return -1
}

// in applies a command to one service. After an error c is as it was, but for
// what the command itself has done.
func (c *Config) in(name string, cmd Command) error {
	if name == "" {
		return cmd.apply(c)
	}
	i := c.indexOf(name)
	if i < 0 {
		return c.noService(name)
	}
	first := c.Service
	c.Service = c.Services[i]
	err := cmd.apply(c)
	c.Services[i], c.Service = c.Service, first
	return err
}

func (c Config) noService(name string) error {
	var names []string
	for _, s := range c.Services {
		names = append(names, s.Name)
	}
	if names == nil {
		return fmt.Errorf("there is no service %s, nor any other with a name; service %s makes one", name, name)
	}
	return fmt.Errorf("there is no service %s; there are: %s", name, strings.Join(names[:min(len(names), 20)], " "))
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
	case no:
		c.Services = slices.Delete(c.Services, i, i+1)
		if len(c.Services) == 0 {
			c.Services = nil
		}
	case i >= 0:
	case !isName(name):
		return fmt.Errorf("%q can't be a name, want up to %d letters, digits, or one of _ - .", name, maxName)
	case len(c.Services) >= maxServices:
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
	case cmd.Verb.global:
		err = fmt.Errorf("service %s: %s is for all of Pen: say it without service %s", words[0], cmd.Verb.Name, words[0])
	}
	if err != nil {
		return Command{}, true, err
	}
	cmd.Service = words[0]
	return cmd, true, nil
}
