package control

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"pen/internal/config"
	"pen/internal/engine"
	"pen/internal/stats"
)

// Run carries out one command and returns its reply, with its end of line.
func Run(e engine.Engine, cmd config.Command) (string, error) {
	if cmd.Kind() == config.Setting {
		if err := e.Apply(cmd); err != nil {
			return "", err
		}
	}
	if run, ok := commands[cmd.Verb.Name]; ok {
		return run(e, cmd)
	}
	cfg := e.Config()
	of := cfg.Service(cmd.Service)
	run, ok := serviceCommands[cmd.Verb.Name]
	if of != nil && !ok || cmd.Verb.Scope == config.OfPen {
		return cmd.Reply(cfg), nil
	}
	s, err := e.Service(cmd.Service)
	if err != nil || of == nil { // the service has just come or gone
		return "", err
	}
	return run(s, of, cmd.Args)
}

// RunAll carries out the commands of a file. Errors say where they stand.
func RunAll(e engine.Engine, all []config.Command) error {
	var errs []error
	for _, cmd := range all {
		if _, err := Run(e, cmd); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", cmd.Origin, err))
		}
	}
	return errors.Join(errs...)
}

// commands are the actions and questions about all of Pen.
var commands map[string]func(e engine.Engine, cmd config.Command) (string, error)

func init() { // include refers to it
	commands = map[string]func(e engine.Engine, cmd config.Command) (string, error){
		"exit": func(e engine.Engine, _ config.Command) (string, error) {
			err := e.Exit()
			if errors.Is(err, engine.Forbidden) {
				return "Exit is not enabled; restart with -X flag\n", nil
			}
			return "", err
		},
		"help": func(_ engine.Engine, cmd config.Command) (string, error) {
			return config.Help(strings.Join(cmd.Args, " "))
		},
		"include": func(e engine.Engine, cmd config.Command) (string, error) {
			rest, err := e.Include(cmd.Service, cmd.Args[0])
			if err != nil {
				return "", err
			}
			return "", RunAll(e, rest)
		},
		"pid": func(engine.Engine, config.Command) (string, error) {
			return fmt.Sprintf("%d\n", os.Getpid()), nil
		},
		"plan": func(e engine.Engine, cmd config.Command) (string, error) {
			p, err := e.Plan(cmd.Args[0])
			if err != nil {
				return "", err
			}
			return planText(p), nil
		},
		"rollback": func(e engine.Engine, _ config.Command) (string, error) {
			changes, err := e.Rollback()
			return changes.String(), err
		},
		"services": func(e engine.Engine, _ config.Command) (string, error) {
			return stats.ServicesText(e.Services()), nil
		},
		"write": func(e engine.Engine, cmd config.Command) (string, error) {
			return "", e.Write(strings.Join(cmd.Args, ""))
		},
	}
}

// serviceCommands are the actions and questions about one service, and the
// settings whose reply is more than their value. The config.Service is what
// is configured.
var serviceCommands = map[string]func(s engine.Service, of *config.Service, args []string) (string, error){
	"close": func(s engine.Service, _ *config.Service, args []string) (string, error) {
		n := 0
		if len(args) > 0 {
			var err error
			if n, err = strconv.Atoi(args[0]); err != nil {
				return "", fmt.Errorf("close: %q is not the number of a connection", args[0])
			}
		}
		if n < 0 || n >= s.Numbers().ConnMax {
			return fmt.Sprintf("Connection %d out of range\n", n), nil
		}
		s.Kill(n)
		return fmt.Sprintf("Forcibly closing connection %d\n", n), nil
	},
	"conn_max": func(s engine.Service, _ *config.Service, _ []string) (string, error) {
		return fmt.Sprintf("%d\n", s.Numbers().ConnMax), nil
	},
	"connection": func(s engine.Service, _ *config.Service, args []string) (string, error) {
		n, err := strconv.Atoi(args[0])
		if err != nil || n < 0 || n >= s.Numbers().ConnMax {
			return fmt.Sprintf("Connection %s out of range\n", args[0]), nil
		}
		for _, c := range s.Snapshot().Conns {
			if c.ID == n {
				return stats.ConnectionText(c), nil
			}
		}
		return stats.ConnectionText(stats.Conn{ID: n, DownFD: -1, UpFD: -1}), nil
	},
	"explain": explain,
	"idlers": func(s engine.Service, of *config.Service, _ []string) (string, error) {
		return fmt.Sprintf("Idlers: %d/%d\n", s.Idlers(), of.Idlers), nil
	},
	"recent": func(s engine.Service, _ *config.Service, args []string) (string, error) {
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
	"servers": func(s engine.Service, _ *config.Service, _ []string) (string, error) {
		return stats.ServersText(s.Servers()), nil
	},
	"socket": func(s engine.Service, _ *config.Service, args []string) (string, error) {
		owner := -1
		for _, c := range s.Snapshot().Conns {
			if fd := strconv.Itoa(c.DownFD); fd == args[0] || strconv.Itoa(c.UpFD) == args[0] {
				owner = c.ID
			}
		}
		return fmt.Sprintf("Socket %s belongs to connection %d\n", args[0], owner), nil
	},
	"state": func(s engine.Service, _ *config.Service, _ []string) (string, error) {
		return stats.StatesText(s.Servers(), time.Now()), nil
	},
	"status": func(s engine.Service, _ *config.Service, _ []string) (string, error) {
		var b strings.Builder
		err := stats.HTML(&b, s.Snapshot())
		return b.String(), err
	},
}

// planText is the reply to the command "plan".
func planText(p engine.Plan) string {
	var b strings.Builder
	switch {
	case p.Changes == nil:
		b.WriteString("nothing changes\n")
	case p.RolledBack:
		return "nothing changes: this was rolled back, and applies once the file is changed:\n" + p.Changes.String()
	default:
		b.WriteString(p.Changes.String())
	}
	if p.StartOnly {
		b.WriteString("some of the file takes effect at the next start only\n")
	}
	for _, m := range p.Moved {
		name := "first service"
		if m.Service != config.DefaultService {
			name = "service " + m.Service
		}
		fmt.Fprintf(&b, "%s: %d of %d remembered clients lose their server\n", name, m.Clients, m.All)
	}
	return b.String()
}
