package app

import (
	"fmt"
	"runtime/debug"
	"time"
)

const (
	// Of the memory that the process's control group may use, connections are
	// accepted up to fullMemory, and again below roomyMemory.
	fullMemory, roomyMemory = 0.85, 0.80
	// memoryTurn is how often it is looked at, four times less while less than half
	// is used.
	memoryTurn = 50 * time.Millisecond
	// fewFlows do not fill any memory: what does is something else, and it does not
	// help to keep clients out.
	fewFlows = 100
)

// A memory is what the process may use of it.
type memory interface {
	Used() (int64, error)
}

// watchMemory keeps clients waiting in the kernel's queue while memory is nearly
// used up, until the App is stopped: else the kernel would end the process.
func (a *App) watchMemory(m memory, limit int64) {
	held, turn := false, memoryTurn
	for {
		select {
		case <-a.stopping.Done():
			return
		case <-time.After(turn):
		}
		used, err := m.Used()
		if err != nil {
			a.opt.Log.Error("can't read how much memory is used", "error", err)
			return
		}
		share := float64(used) / float64(limit)
		if turn = memoryTurn; share < 0.5 {
			turn = 4 * memoryTurn
			if !held {
				continue
			}
		}
		flows := 0
		for _, d := range a.dispatchers() {
			flows += d.Flows()
		}
		switch {
		case !held && share >= fullMemory && flows >= fewFlows:
			held = true
			a.opt.Log.Warn("memory is nearly used up; no connections are accepted", "used", mebibytes(used), "limit", mebibytes(limit), "connections", flows)
			debug.FreeOSMemory()
		case held && (share < roomyMemory || flows < fewFlows):
			held = false
			a.opt.Log.Warn("accepting connections again: there is memory", "used", mebibytes(used), "limit", mebibytes(limit), "connections", flows)
		}
		a.budget.Hold(held)
	}
}

func mebibytes(n int64) string { return fmt.Sprintf("%d MiB", n>>20) }
