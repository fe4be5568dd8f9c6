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
		asked(row(Verb{
			Name: "check", Args: "tcp|tls|http|https|smtp|mysql|postgresql|redis|ldap|send|expect|script|udp|dns|exec|off WORD...", Negatable: true, most: many, Help: "check whether servers work: tcp, tls, http PATH, https PATH, smtp, mysql, postgresql, redis, ldap, send STRING expect STRING, expect STRING, script STEPS, udp send STRING expect STRING, dns NAME, exec FILE, with options",
		}, on[Service]{
			set: setCheck, save: saveSpec("check", func(s *Service) *check.Spec { return &s.Check }),
		})),
		asked(row(Verb{
			Name: "agent", Args: "port|push|off WORD...", Long: "agent", several: true, Negatable: true, most: many, Help: "let servers say themselves how they are: ask their agents (port N), or have them report to agent_listen at least so often (push TIME)",
		}, on[Service]{
			set: setAgent, save: saveAgent,
		})),
		text("agent_listen", "[HOST:]PORT", "", "agent-listen", "address for servers to report to", func(g *Global) *string { return &g.AgentListen }),
		text("table_file", "FILE", "", "table-file", "file that keeps the client table over a restart", func(s *Service) *string { return &s.TableFile }),
	}
}

func setCheck(s *Service, no bool, args []string) error {
	if no || args[0] == "off" {
		s.Check = check.Spec{}
		return nil
	}
	spec, err := check.ParseSpec(args)
	if err == nil && spec.Kind == check.Agent {
		err = fmt.Errorf("an agent is not a check, want the agent command")
	}
	if err == nil {
		s.Check = spec
	}
	return err
}

func setAgent(s *Service, no bool, args []string) error {
	switch {
	case no || args[0] == "off":
		s.Agent, s.AgentPush = check.Spec{}, 0
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
			s.AgentPush = d
		}
		return err
	}
	spec, err := check.ParseSpec(append([]string{string(check.Agent)}, args...))
	if err == nil {
		s.Agent = spec
	}
	return err
}

func saveSpec(name string, field func(*Service) *check.Spec) func(*Service) []string {
	return func(s *Service) []string {
		if *field(s) == (check.Spec{}) {
			return []string{"no " + name}
		}
		return []string{name + " " + field(s).String()}
	}
}

func saveAgent(s *Service) []string {
	var lines []string
	if s.Agent != (check.Spec{}) {
		lines = append(lines, s.Agent.String())
	}
	if s.AgentPush > 0 {
		lines = append(lines, "agent push "+duration.Format(s.AgentPush))
	}
	if lines == nil {
		return []string{"no agent"}
	}
	return lines
}
