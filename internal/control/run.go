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
	return cmd.Reply(e.Config()), nil
}

// questions are the commands that ask for more than a setting.
var questions = map[string]func(e Engine, args []string) (string, error){
	"servers": func(e Engine, _ []string) (string, error) {
		return stats.ServersText(e.Servers()), nil
	},
	"recent": func(e Engine, args []string) (string, error) {
		within := 300 * time.Second
		if len(args) > 0 {
			d, err := config.ParseDuration(args[0])
			if err != nil {
				return "", fmt.Errorf("recent: %w", err)
			}
			within = d
		}
		s := e.Snapshot()
		return stats.RecentText(s.Clients, s.Time, within), nil
	},
	"status": func(e Engine, _ []string) (string, error) {
		var b strings.Builder
		err := stats.HTML(&b, e.Snapshot())
		return b.String(), err
	},
	"help": func(_ Engine, args []string) (string, error) {
		return config.Help(strings.Join(args, " "))
	},
	"pid": func(Engine, []string) (string, error) {
		return fmt.Sprintf("%d\n", os.Getpid()), nil
	},
	"conn_max": func(e Engine, _ []string) (string, error) {
		return fmt.Sprintf("%d\n", e.Snapshot().ConnMax), nil
	},
	"idlers": func(e Engine, _ []string) (string, error) {
		return fmt.Sprintf("Idlers: %d/%d\n", e.Idlers(), e.Config().Idlers), nil
	},
	"connection": func(e Engine, args []string) (string, error) {
		s := e.Snapshot()
		n, err := strconv.Atoi(args[0])
		if err != nil || n < 0 || n >= s.ConnMax {
			return fmt.Sprintf("Connection %s out of range\n", args[0]), nil
		}
		for _, c := range s.Conns {
			if c.ID == n {
				return stats.ConnectionText(c), nil
			}
		}
		return stats.ConnectionText(stats.Conn{ID: n, DownFD: -1, UpFD: -1}), nil
	},
	"socket": func(e Engine, args []string) (string, error) {
		owner := -1
		for _, c := range e.Snapshot().Conns {
			if fd := strconv.Itoa(c.DownFD); fd == args[0] || strconv.Itoa(c.UpFD) == args[0] {
				owner = c.ID
			}
		}
		return fmt.Sprintf("Socket %s belongs to connection %d\n", args[0], owner), nil
	},
}
