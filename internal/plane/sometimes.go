package plane

import (
	"sync"
	"time"
)

// Sometimes counts what may happen very often, to be logged once a second.
type Sometimes struct {
	mu    sync.Mutex // guards all below
	count int        // since it was last due
	next  time.Time
}

// Due counts one more. It returns 0, or at most once a second how many there
// were since it last did.
func (s *Sometimes) Due() int {
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
