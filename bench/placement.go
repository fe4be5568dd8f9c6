//go:build linux

package main

import "strconv"

// Cores of the pinned placement: the proxies alone on one, load and backend
// on the other. A process on anywhere is not pinned.
const (
	loadCore  = 0
	proxyCore = 1
	anywhere  = -1
)

// placement says where everything runs, and with how many workers.
type placement struct {
	name    string // for the report
	pinned  bool   // the proxy on a core of its own
	workers int    // of every proxy and backend, and threads of wrk
}

// p1 shows what a proxy's one worker can do and costs; p2 is the machine left
// to its scheduler, as in service.
var (
	p1 = placement{name: "P1", pinned: true, workers: 1}
	p2 = placement{name: "P2", workers: 2}
)

// loadCore is the core of the load and of the backends.
func (p placement) loadCore() int {
	if p.pinned {
		return loadCore
	}
	return anywhere
}

// proxyCore is the core of the proxies.
func (p placement) proxyCore() int {
	if p.pinned {
		return proxyCore
	}
	return anywhere
}

// title is the name of a load in this placement.
func (p placement) title(load string) string {
	if p.pinned {
		return load
	}
	return p.name + ": " + load
}

// env is what tells Go programs their number of workers.
func (p placement) env() []string { return []string{"GOMAXPROCS=" + strconv.Itoa(p.workers)} }
