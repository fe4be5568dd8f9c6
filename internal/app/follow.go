package app

import (
	"time"

	"pen/internal/names"
	"pen/internal/sock"
)

// interfaceTurn is how often the addresses of this machine are looked at: one
// that it gets may be that of a server, which is Pen itself then.
const interfaceTurn = 5 * time.Second

// follow applies the configuration in use again when names have got other
// addresses, or this machine has, until the App is stopped.
func (a *App) follow() {
	interfaces := sock.LocalAddrs()
	for {
		select {
		case <-a.stopping.Done():
			return
		case <-time.After(interfaceTurn):
			now := sock.LocalAddrs()
			if now.Equal(interfaces) {
				continue
			}
			interfaces = now
		case <-a.renamed:
		}
		err := a.change(a.applyAgain)
		if err != nil && a.stopping.Err() == nil {
			a.opt.Log.Error("new addresses of servers can't be used", "error", err)
		}
	}
}

// readdressed is called when a name has got other addresses.
func (a *App) readdressed(q names.Query, answers []names.Answer) {
	a.opt.Log.Info("addresses have changed", "name", q.Name, "servers", len(answers), "first", answers[0].Addr)
	select {
	case a.renamed <- struct{}{}:
	default: // it will be looked at together with the last change
	}
}
