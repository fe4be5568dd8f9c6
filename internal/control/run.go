package control

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"pen/internal/config"
	"pen/internal/stats"
)

// Run carries out one command and returns its reply, with its end of line.
func Run(e Engine, cmd config.Command) (string, error) {
	switch cmd.Kind() {
	case config.Setting:
		if err := e.Change(cmd); err != nil {
			return "", err
		}
	case config.Action:
		return e.Act(cmd)
	}
	if ask, ok := questions[cmd.Verb.Name]; ok {
		return ask(e, cmd.Args)
	}
	cfg := e.Config()
	of := cfg.Service(cmd.Service)
	if of == nil && cmd.Verb.Scope == config.OfService {
		_, err := e.Service(cmd.Service)
		return "", err
	}
	if ask, ok := serviceQuestions[cmd.Verb.Name]; ok {
		s, err := e.Service(cmd.Service)
		if err != nil {
			return "", err
		}
		return ask(s, of, cmd.Args)
	}
	return cmd.Reply(cfg), nil
}

// serviceQuestions are those about one service that ask for more than a
// setting. The config.Service is what is said of it.
var serviceQuestions = map[string]func(s Service, of *config.Service, args []string) (string, error){
	"servers": func(s Service, _ *config.Service, _ []string) (string, error) {
		return stats.ServersText(s.Servers()), nil
	},
	"recent": func(s Service, _ *config.Service, args []string) (string, error) {
		within := 300 * time.Second
		if len(args) > 0 {
			d, err := config.ParseDuration(args[0])
			if err != nil {
				return "", fmt.Errorf("recent: %w", err)
			}
			within = d
		}
		now := s.Snapshot()
		return stats.RecentText(now.Clients, now.Time, within), nil
	},
	"explain": func(s Service, _ *config.Service, args []string) (string, error) {
		return s.Explain(args[0])
	},
	"state": func(s Service, _ *config.Service, _ []string) (string, error) {
		return stats.StatesText(s.Servers(), time.Now()), nil
	},
	"status": func(s Service, _ *config.Service, _ []string) (string, error) {
		var b strings.Builder
		err := stats.HTML(&b, s.Snapshot())
		return b.String(), err
	},
	"conn_max": func(s Service, _ *config.Service, _ []string) (string, error) {
		return fmt.Sprintf("%d\n", s.Snapshot().ConnMax), nil
	},
	"idlers": func(s Service, of *config.Service, _ []string) (string, error) {
		return fmt.Sprintf("Idlers: %d/%d\n", s.Idlers(), of.Idlers), nil
	},
	"connection": func(s Service, _ *config.Service, args []string) (string, error) {
		now := s.Snapshot()
		n, err := strconv.Atoi(args[0])
		if err != nil || n < 0 || n >= now.ConnMax {
			return fmt.Sprintf("Connection %s out of range\n", args[0]), nil
		}
		for _, c := range now.Conns {
			if c.ID == n {
				return stats.ConnectionText(c), nil
			}
		}
		return stats.ConnectionText(stats.Conn{ID: n, DownFD: -1, UpFD: -1}), nil
	},
	"socket": func(s Service, _ *config.Service, args []string) (string, error) {
		owner := -1
		for _, c := range s.Snapshot().Conns {
			if fd := strconv.Itoa(c.DownFD); fd == args[0] || strconv.Itoa(c.UpFD) == args[0] {
				owner = c.ID
			}
		}
		return fmt.Sprintf("Socket %s belongs to connection %d\n", args[0], owner), nil
	},
}

// questions are those about all of Pen.
var questions = map[string]func(e Engine, args []string) (string, error){
	"services": func(e Engine, _ []string) (string, error) {
		return stats.ServicesText(e.Services()), nil
	},
	"plan": func(e Engine, args []string) (string, error) {
		return e.Plan(args[0])
	},
	"help": func(_ Engine, args []string) (string, error) {
		return config.Help(strings.Join(args, " "))
	},
	"pid": func(Engine, []string) (string, error) {
		return fmt.Sprintf("%d\n", os.Getpid()), nil
	},
}
