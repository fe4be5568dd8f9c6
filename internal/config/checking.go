package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"pen/internal/check"
	"pen/internal/duration"
)

// An Outlier says when what clients meet takes a server out of rotation.
// The zero Outlier is Pen's rule: after one failed connect, for the time that
// blacklist says.
type Outlier struct {
	Failures int           // failed connects in a row; 0: one
	Resets   int           // connections in a row that it ends without a byte; 0: not looked at
	Within   time.Duration // how soon such an end is early
	Max      time.Duration // the time doubles with each time in a row, up to this; 0: it does not
	Share    int           // percent of the servers that may be away because of it; 0: all
}

// earlyEnd is Outlier.Within, unless the user says otherwise.
const earlyEnd = time.Second

// outlierKeys are the keys of the outlier verb, in the order in which they are saved.
var outlierKeys = []key[Outlier]{
	keyOf("failures", number(1, maxInt), func(o *Outlier) *int { return &o.Failures }),
	keyOf("resets", number(1, maxInt), func(o *Outlier) *int { return &o.Resets }),
	keyOf("share", number(1, 100), func(o *Outlier) *int { return &o.Share }),
	keyOf("within", period(0), func(o *Outlier) *time.Duration { return &o.Within }),
	keyOf("max", period(0), func(o *Outlier) *time.Duration { return &o.Max }),
}

// checking are the verbs of whether servers work.
func checking() []Verb {
	return []Verb{
		{
			Name: "check", Args: "[tcp|tls|http|https|smtp|mysql|postgresql|redis|ldap|send|expect|script|udp|dns|exec|off WORD...]", Negatable: true,
			Level: Admin, none: "off",
			risk: risksOfChecks, does: on(setCheck, func(s *Service) []string { return words(writeSpec(s.Check)) }),
			Help:    "check whether servers work",
			More:    "http PATH, https PATH, send STRING expect STRING, expect STRING, script STEPS, udp send STRING expect STRING, dns NAME, exec FILE; then options.",
			Example: "check http /health interval 5", See: "agent on_down state",
		},
		{
			Name: "agent", Args: "[port|push|off WORD...]", Long: "agent", Negatable: true, Level: Admin, none: "off", does: on(setAgent, saveAgent),
			Help: "let servers say themselves how they are",
			More: "port N: ask their agents. push TIME: they report to agent_listen at least so often.", Example: "agent port 9777",
			See: "agent_listen check",
		},
		{
			Name: "agent_listen", Long: "agent-listen", Negatable: true, Level: Local, When: AtStart,
			does: plain(word("[HOST:]PORT"), func(g *Global) *string { return &g.AgentListen }),
			Help: "address for servers to report to; a port alone is on 127.0.0.1", Example: "agent_listen 10.0.0.1:9778", See: "agent",
		},
		{
			Name: "blacklist", Short: "b", Long: "blacklist", Level: Operate, saved: always,
			does: plain(period(0), func(s *Service) *time.Duration { return &s.Blacklist }),
			Help: "how long a server that failed is taken out of rotation", Example: "blacklist 10", See: "outlier server",
		},
		{
			Name: "outlier", Args: "[" + keyArgs(outlierKeys) + "]", Long: "outlier", Negatable: true, Level: Operate, none: "off",
			does: on(setOutlier, func(s *Service) []string { return words(keyWords(outlierKeys, &s.Outlier)) }),
			Help: "when what clients meet takes a server out of rotation",
			More: "After so many failures, or resets within a time, in a row. " +
				"The time of blacklist doubles up to max. share is the percentage of servers that may be out because of it.",
			Example: "outlier failures 3 max 10m share 50", See: "blacklist panic",
		},
		{
			Name: "panic", Long: "panic", Level: Operate, does: plain(number(0, 100), func(s *Service) *int { return &s.Panic }),
			Help: "percentage of servers below which checks and failures are not believed", More: "0: they always are.", Example: "panic 50",
			See: "check outlier",
		},
		{
			Name: "on_down", Long: "on-down", Level: Operate, does: plain(oneOf([]string{"keep", "close"}, []bool{false, true}), func(s *Service) *bool { return &s.CloseDown }),
			Help: "what becomes of the connections of a server that checks find down", Example: "on_down close", See: "check",
		},
	}
}

// risksOfChecks is the risk of a check that does more than speak to servers.
func risksOfChecks(args []string) Level {
	if !slices.Contains(harmless, args[0]) {
		return Local
	}
	return 0
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

func writeSpec(spec check.Spec) string {
	if spec == (check.Spec{}) {
		return ""
	}
	return spec.String()
}

func saveAgent(s *Service) []string {
	out := words(strings.TrimPrefix(writeSpec(s.Agent), string(check.Agent)+" "))
	if s.AgentPush > 0 {
		out = append(out, "push "+duration.Format(s.AgentPush))
	}
	return out
}

func setOutlier(s *Service, no bool, args []string) error {
	var o Outlier
	if !no {
		if err := setKeys(outlierKeys, &o, args); err != nil {
			return err
		}
	}
	if o.Within > 0 && o.Resets == 0 {
		return errors.New("within is for resets: want resets N within TIME")
	}
	if o.Resets > 0 && o.Within == 0 {
		o.Within = earlyEnd
	}
	s.Outlier = o
	return nil
}
