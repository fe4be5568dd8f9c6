package config

import (
	"fmt"
)

// A Level is what a client of the control socket may do. Each one includes
// those below it; the zero Level is nothing.
type Level int

// The levels.
const (
	// View asks questions.
	View Level = iota + 1
	// Operate decides how clients are spread over the servers that there are.
	Operate
	// Admin decides where clients go, who may come, and where Pen listens.
	Admin
	// Local is what reads or writes files or runs programs. Only the Unix
	// control socket has it: no token gives it.
	Local
)

// levelNames are the words that a user may give.
var levelNames = map[string]Level{"view": View, "operate": Operate, "admin": Admin}

func (l Level) String() string {
	return [...]string{"none", "view", "operate", "admin", "local"}[l]
}

// parseLevel understands the name of a level that can be given to TCP clients.
func parseLevel(word string) (Level, error) {
	if l, ok := levelNames[word]; ok {
		return l, nil
	}
	return 0, fmt.Errorf("%q is none of view, operate, admin", word)
}

// harmless are the kinds of checks that only speak to servers.
var harmless = []string{
	"dns", "expect", "http", "https", "ldap", "mysql", "off", "postgresql", "redis", "script", "send", "smtp", "tcp", "tls", "udp",
}

// dumpLevel is the debug level from which what clients send is in the log.
const dumpLevel = 3

// Level is what a client of the control socket needs for the command. To ask for
// a setting's value needs no more than View.
func (cmd Command) Level() Level {
	v := cmd.Verb
	switch {
	case cmd.asks():
		return View
	case v.Level == 0:
		return Local // its row does not say
	case v.risk != nil && len(cmd.Args) > 0:
		return max(v.Level, v.risk(cmd.Args))
	}
	return v.Level
}

// risksOfDebug is the risk of a level of detail at which what clients send is in
// the log.
func risksOfDebug(args []string) Level {
	if n, err := parseInt("number", args[0], 0, maxInt); err != nil || n >= dumpLevel {
		return Local
	}
	return 0
}
