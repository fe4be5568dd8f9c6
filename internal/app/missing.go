package app

import (
	"pen/internal/config"
	"pen/internal/pool"
)

// A serverAt is a slot of a service.
type serverAt struct {
	service string
	slot    int
}

// sayMissing logs which servers have no address that is of use, once for each
// reason. Called within change.
func (a *App) sayMissing(s config.Service, p pool.Settings) {
	for slot, c := range p.Servers {
		a.sayMissingAt(serverAt{s.Name, slot}, c)
	}
	for i, c := range p.Emergency {
		a.sayMissingAt(serverAt{s.Name, pool.EmergencySlotOf(i)}, c)
	}
	a.sayMissingAt(serverAt{s.Name, pool.AbuseSlot}, p.Abuse)
}

func (a *App) sayMissingAt(at serverAt, c pool.Config) {
	switch was, there := a.missing[at]; {
	case c.Missing == "" && there:
		delete(a.missing, at)
		if c.Used() {
			a.log(at.service).Info("server known again", "server", at.slot, "address", c.Addr)
		}
	case c.Missing != was:
		a.missing[at] = c.Missing
		a.log(at.service).Warn("server down", "server", at.slot, "address", c.Host, "reason", c.Missing)
	}
}
