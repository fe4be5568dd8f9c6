package build

import (
	"bytes"
	"encoding/hex"
	"net/netip"

	"pen/internal/dispatch"
)

const (
	// dumpLevel is the level of detail from which all communication is logged.
	dumpLevel = 3
	// maxDump is how many bytes of a piece are shown.
	maxDump = 512
)

// An observer logs what happens in a service, and has names looked up again whose
// servers can't be connected to.
type observer struct {
	dispatch.NoObserver
	opt *Options
	inputs
}

// watch is what the observer wants to see.
func (o *observer) watch() (w dispatch.Watch) {
	if o.log {
		w |= dispatch.WatchClients
	}
	if o.dump {
		w |= dispatch.WatchClients | dispatch.WatchServers
	}
	return w
}

// ServerChanged implements [dispatch.Observer].
func (o *observer) ServerChanged(t dispatch.Target, how dispatch.Change) {
	o.opt.Log.Warn("server "+how.String(), "service", o.service.Name, "server", t.Slot, "address", t)
}

// ConnectFailed implements [dispatch.Observer].
func (o *observer) ConnectFailed(slot int) {
	if n, ok := o.servers.names[slot]; ok {
		o.opt.Names.Refresh(n.query)
	}
}

// Read implements [dispatch.Observer]: it logs requests, and all bytes in hexadecimal or
// as text.
func (o *observer) Read(client netip.Addr, server string, fromClient bool, chunk []byte) {
	if o.log && fromClient {
		o.opt.LogRequest(client, server, chunk)
	}
	if !o.dump {
		return
	}
	way := "from server"
	if fromClient {
		way = "from client"
	}
	show := hex.EncodeToString
	if o.ascii {
		show = printable
	}
	o.opt.Log.Debug(way, "client", client, "server", server, "bytes", len(chunk), "data", show(chunk[:min(len(chunk), maxDump)]))
}

// printable has a dot for each byte that does not print.
func printable(b []byte) string {
	out := bytes.Clone(b)
	for i, c := range out {
		if c < ' ' || c > '~' {
			out[i] = '.'
		}
	}
	return string(out)
}
