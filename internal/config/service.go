package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// maxServices bounds what a slip of the finger costs.
const maxServices = 10_000

// listening are the verbs of services and their listeners.
func listening() []Verb {
	return []Verb{
		{
			Name: "service", Args: "NAME [COMMAND]", NoArgs: "NAME", Negatable: true, Level: Admin, does: on(setService, nil),
			Help: "say that what follows in a file, or the command, is for that service",
			More: "It makes the service where there is none of that name. The first service is always there, and is called default. " +
				"no service NAME ends a service: it takes no new clients, and its connections stay until they end.",
			Example: "service web listen 8080", See: "services listen",
			standIn: func(c *Config, cmd Command) Command {
				if cmd.No && isName(cmd.Args[0]) {
					c.Services = append(c.Services, Service{Name: cmd.Args[0]})
				}
				return cmd
			},
		},
		{
			Name: "listen", Long: "listen", Negatable: true, Level: Admin, risk: paths,
			does: plain(wordList("[HOST:]PORT|PATH...", parseWord), func(s *Service) *string { return &s.Listen }),
			Help: "listen for clients at these addresses", More: "A path is that of a Unix socket.", Example: "listen 80 [::1]:8080",
			See: "service backlog plane",
		},
		{
			Name: "protocol", Long: "protocol", Level: Admin, When: BeforeUse, saved: notSaved,
			does: plain(oneOf([]string{"tcp", "udp"}, []bool{false, true}), func(s *Service) *bool { return &s.UDP }),
			Help: "balance connections (tcp) or datagrams (udp)", Example: "protocol udp", See: "udp",
		},
		{
			Name: "udp", Short: "U", Long: "udp", Negatable: true, Level: Admin, When: BeforeUse,
			does: plain(flag(), func(s *Service) *bool { return &s.UDP }),
			Help: "balance datagrams: UDP, or those of a Unix socket", Example: "udp on", See: "protocol udp_requests udp_responses",
		},
		{
			Name: "plane", Long: "plane", Level: Admin, When: BeforeUse,
			does:    plain(choice("auto", "auto", "loop", "stream"), func(s *Service) *string { return &s.Plane }),
			Help:    "how connections are carried",
			More:    "loop: by event loops, on Linux. stream: by two goroutines each. auto: by event loops where they can do what the service needs.",
			Example: "plane stream",
		},
		{
			Name: "backlog", Short: "q", Long: "backlog", Level: Admin, When: BeforeUse,
			does: plain(number(0, maxInt), func(s *Service) *int { return &s.Backlog }),
			Help: "connections that may wait to be accepted; 0: as many as the kernel allows", Example: "backlog 1024", See: "listen",
		},
		{
			Name: "multi_accept", Short: "m", Long: "multi-accept", Level: Operate,
			does: plain(number(0, maxInt), func(s *Service) *int { return &s.MultiAccept }),
			Help: "connections to accept in one go; 0: no limit", Example: "multi_accept 16",
		},
		{
			Name: "dummy", Long: "dummy", Negatable: true, Level: Admin,
			does: plain(flag(), func(s *Service) *bool { return &s.Dummy }),
			Help: "answer every client with the same page, without a server", Example: "dummy on",
		},
	}
}

// paths is the risk of an address that is a path: that of a file that is made, or of
// a socket that only users of this machine should reach.
func paths(args []string) Level {
	if strings.Contains(strings.Join(args, ""), "/") {
		return Local
	}
	return 0
}

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

// inService understands the words of a command to one service.
func inService(name string, words []string) (Command, error) {
	cmd, err := parseWords(words)
	switch {
	case err != nil:
		return Command{}, err
	case cmd.Verb.Scope == OfServices:
		return Command{}, errors.New("service: a service has no services of its own")
	case cmd.Verb.Scope == OfPen:
		return Command{}, fmt.Errorf("service %s: %s is for all of Pen: say it without service %s", name, cmd.Verb.Name, name)
	}
	cmd.Service = name
	return cmd, nil
}
