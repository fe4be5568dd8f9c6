package control

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"pen/internal/config"
	"pen/internal/dispatch"
	"pen/internal/engine"
	"pen/internal/pool"
)

// explain tells where a new connection of a client would go now, and why.
func explain(s engine.Service, of *config.Service, args []string) (string, error) {
	from, err := netip.ParseAddrPort(args[0])
	if err != nil {
		addr, aerr := netip.ParseAddr(args[0])
		if aerr != nil {
			return "", fmt.Errorf("explain: %q is not an address, want such as 192.0.2.7, 2001:db8::7 or 192.0.2.7:1234", args[0])
		}
		from = netip.AddrPortFrom(addr, 0)
	}
	return explanation(s.Explain(from), of), nil
}

// explanation writes a line for what is known of the client, one for each server
// that was looked at, and one for the outcome.
func explanation(e dispatch.Explanation, of *config.Service) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("client %s: %s", e.Key, memory(e, of))
	if e.Denied {
		line("access list %d denies it", of.ClientACL)
	}
	if e.Full {
		line("refused: there are as many connections as there may be")
		return b.String()
	}
	if e.Over {
		line("over a limit: %s", e.Limit)
	}
	if e.Panic {
		line("too few servers are well: checks and failures are not believed")
	}
	if e.Chose != pool.None && e.Chose != e.Remembered {
		line("chosen by %s: server %d", choice(of), e.Chose)
	}
	for i, step := range e.Passed {
		if i == maxPassed {
			line("%d more servers are not available", len(e.Passed)-i)
			break
		}
		line("%s: %s", whereIs(step), dispatch.VerdictText(step.Verdict))
	}
	for _, step := range e.Steps {
		line("%s: %s", whereIs(step), dispatch.VerdictText(step.Verdict))
	}
	if e.Hold > 0 {
		line("is held for %v first", e.Hold.Round(time.Millisecond))
	}
	switch {
	case e.Queue:
		line("waits for a place: all servers are full")
	case e.Goes:
		line("goes to %s", whereIs(e.Steps[len(e.Steps)-1]))
	default:
		line("refused: no server takes it")
	}
	return b.String()
}

// maxPassed bounds the servers that an explanation names besides those that were
// tried.
const maxPassed = 100

// memory is what the client table knows of the client.
func memory(e dispatch.Explanation, of *config.Service) string {
	ago := e.Age.Round(time.Second)
	switch {
	case !e.IsKnown:
		return "not seen before"
	case e.Remembered == pool.None:
		return fmt.Sprintf("seen %v ago, %d connections, without a server now", ago, e.Known.Connects)
	case of.RoundRobin:
		return fmt.Sprintf("seen %v ago at server %d, which is not looked at (roundrobin)", ago, e.Remembered)
	}
	return fmt.Sprintf("seen %v ago, %d connections, remembered at server %d", ago, e.Known.Connects, e.Remembered)
}

// choice is the name of the algorithm.
func choice(of *config.Service) string {
	switch {
	case of.Balance != "":
		return "balance " + of.Balance
	case of.Prio:
		return "prio"
	case of.Weight:
		return "weight"
	case of.Hash:
		return "hash"
	}
	return "turns"
}

// whereIs names a server.
func whereIs(step dispatch.Step) string {
	at := step.Path
	if at == "" {
		at = step.Addr.String()
	}
	switch {
	case pool.IsEmergency(step.Slot):
		return "emergency server " + at
	case step.Slot == pool.AbuseSlot:
		return "abuse server " + at
	}
	if step.Name != "" {
		return fmt.Sprintf("server %d %s (%s)", step.Slot, step.Name, at)
	}
	return fmt.Sprintf("server %d (%s)", step.Slot, at)
}
