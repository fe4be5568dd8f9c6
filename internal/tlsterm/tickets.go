package tlsterm

import (
	"crypto/rand"
	"crypto/tls"
	"sync"
	"time"
)

const (
	// rotation is how long a key encrypts new tickets.
	rotation = 12 * time.Hour
	// keptKeys is how many keys decrypt tickets: those of the last 24 to 36 hours.
	keptKeys = 3
)

// tickets are the session ticket keys of an identity. An identity shares them with
// its successor, for example when a staple is renewed.
type tickets struct {
	mu   sync.Mutex
	keys [][32]byte // the first encrypts new tickets
	made time.Time
}

func newTickets(now time.Time) *tickets {
	return &tickets{keys: [][32]byte{newKey()}, made: now}
}

func newKey() (key [32]byte) {
	rand.Read(key[:]) // never fails
	return key
}

// rotate adds a new first key if the current one is due, and reports whether it did.
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

// install sets the keys of a configuration; call it again after rotate.
func (t *tickets) install(c *tls.Config) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c.SetSessionTicketKeys(t.keys)
}
