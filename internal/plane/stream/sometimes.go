package stream

import (
	"sync"
	"time"
)

// sometimes counts what may happen very often, to be logged once a second.
type sometimes struct {
	mu    sync.Mutex // guards all below
	count int        // since it was last due
	next  time.Time
}

// due counts one more. It returns 0, or at most once a second how many there
// were since it last did.
func (s *sometimes) due() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count++
	now := time.Now()
	if now.Before(s.next) {
		return 0
	}
	n := s.count
	s.count, s.next = 0, now.Add(time.Second)
	return n
}
