package config

import (
	"fmt"
	"time"

	"pen/internal/check"
	"pen/internal/duration"
)

// checking are the verbs of looking after servers.
func checking() []Verb {
	return []Verb{
		asked(Verb{
			Name: "check", Args: "tcp|tls|http|https|smtp|mysql|postgresql|redis|ldap|send|expect|script|udp|dns|exec|off WORD...", Negatable: true, most: many, set: setCheck,
			Help: "check whether servers work: tcp, tls, http PATH, https PATH, smtp, mysql, postgresql, redis, ldap, send STRING expect STRING, expect STRING, script STEPS, udp send STRING expect STRING, dns NAME, exec FILE, with options",
			save: saveSpec("check", func(c *Config) *check.Spec { return &c.Check }),
		}),
		asked(Verb{
			Name: "agent", Args: "port|push|off WORD...", Long: "agent", several: true, Negatable: true, most: many, set: setAgent, save: saveAgent,
			Help: "let servers say themselves how they are: ask their agents (port N), or have them report to agent_listen at least so often (push TIME)",
		}),
		global(text("agent_listen", "[HOST:]PORT", "", "agent-listen", "address for servers to report to", func(c *Config) *string { return &c.AgentListen })),
		text("table_file", "FILE", "", "table-file", "file that keeps the client table over a restart", func(c *Config) *string { return &c.TableFile }),
	}
}

func setCheck(c *Config, no bool, args []string) error {
	if no || args[0] == "off" {
		c.Check = check.Spec{}
		return nil
	}
	spec, err := check.ParseSpec(args)
	if err == nil && spec.Kind == check.Agent {
		err = fmt.Errorf("an agent is not a check, want the agent command")
	}
	if err == nil {
		c.Check = spec
	}
	return err
}

func setAgent(c *Config, no bool, args []string) error {
	switch {
	case no || args[0] == "off":
		c.Agent, c.AgentPush = check.Spec{}, 0
		return nil
	case args[0] == "push":
		if len(args) < 2 {
			return fmt.Errorf("push has no value, want agent push TIME")
		}
		d, err := ParseDuration(args[1])
		if err == nil && d < 100*time.Millisecond {
			err = fmt.Errorf("%q is too short, want at least 100ms", args[1])
		}
		if err == nil {
			c.AgentPush = d
		}
		return err
	}
	spec, err := check.ParseSpec(append([]string{string(check.Agent)}, args...))
	if err == nil {
		c.Agent = spec
	}
	return err
}

func saveSpec(name string, field func(*Config) *check.Spec) func(Config) []string {
	return func(c Config) []string {
		if *field(&c) == (check.Spec{}) {
			return []string{"no " + name}
		}
		return []string{name + " " + field(&c).String()}
	}
}

func saveAgent(c Config) []string {
	var lines []string
	if c.Agent != (check.Spec{}) {
		lines = append(lines, c.Agent.String())
	}
	if c.AgentPush > 0 {
		lines = append(lines, "agent push "+duration.Format(c.AgentPush))
	}
	if lines == nil {
		return []string{"no agent"}
	}
	return lines
}
