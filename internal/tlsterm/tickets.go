package tlsterm

import (
	"crypto/rand"
	"crypto/tls"
	"sync"
	"time"
)

const (
	// rotation is how long tickets are made with a key.
	rotation = 12 * time.Hour
	// keptKeys is with how many keys tickets are understood: those of the last
	// 24 to 36 hours.
	keptKeys = 3
)

// tickets are the keys of the session tickets of an identity. Identities that
// follow each other, as when a staple is renewed, share them.
type tickets struct {
	mu   sync.Mutex
	keys [][32]byte // the first makes new tickets
	made time.Time
}

func newTickets(now time.Time) *tickets {
	return &tickets{keys: [][32]byte{newKey()}, made: now}
}

func newKey() (key [32]byte) {
	rand.Read(key[:]) // it does not fail
	return key
}

// rotate puts a new key in front if the first is old enough, and reports whether.
func (t *tickets) rotate(now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now.Sub(t.made) < rotation {
		return false
	}
	t.keys = append([][32]byte{newKey()}, t.keys[:min(len(t.keys), keptKeys-1)]...)
	t.made = now
	return true
}

// install has a configuration use the keys. It is to be repeated after rotate.
func (t *tickets) install(c *tls.Config) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c.SetSessionTicketKeys(t.keys)
}
