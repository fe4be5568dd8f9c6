package pool

import (
	"cmp"
	"net/netip"
	"slices"
	"sync"
	"time"

	"pen/internal/heap"
)

// A View is what can be decided about a pool's servers without asking the Pool again:
// its state at one moment. It is immutable and safe for concurrent use.
type View struct {
	Revision  uint64
	Algorithm Algorithm
	Panicking bool // see Settings.Panic; Refuses of the servers accounts for it
	// Until is when time alone makes another revision, if Ends.
	Until time.Duration
	Ends  bool

	Servers   []ServerView // by slot
	Emergency []ServerView // in the order in which they are tried
	Abuse     ServerView

	Choice Choice // of a server for an unknown client

	maglev *MaglevTable
	turns  []turn // for InTurn and AtRandom, until places is made
	slot   int32  // for Fixed
	once   sync.Once
	places []int32
}

// A ServerView is one server at one moment.
type ServerView struct {
	Slot    int
	*Config                // as configured; Addr may not be the first address to try
	First   netip.AddrPort // the address to try first, where Path is empty
	Refuses Verdict        // why its state keeps all clients away, or Admitted
	// HalfOpen says that the server is for one trial at a time, which only the Pool
	// can grant.
	HalfOpen bool
	Weight   uint64 // effective, in units of weightUnit
	NoNew    bool   // its weight keeps new clients away
	Conns    int    // at the moment of the view
}

// Takes reports whether the server's state, but not its limits, lets a client use it
// without asking the Pool. returning says that the client used it last.
func (s *ServerView) Takes(returning bool) bool {
	return s.Refuses == Admitted && !s.HalfOpen && (returning || !s.NoNew)
}

// Room returns how many more connections the server's limits allowed at the moment of
// the view, or -1 for any number.
func (s *ServerView) Room(returning bool) int {
	if s.Max <= 0 {
		return -1
	}
	limit := s.Max
	if returning {
		limit = max(limit, s.Hard)
	}
	return max(limit-s.Conns, 0)
}

// A Choice is how a server is chosen for an unknown client.
type Choice uint8

const (
	// MustAsk means that each choice depends on connection counts or on measurements:
	// only the Pool makes it.
	MustAsk Choice = iota
	// InTurn takes the slots of Places in turn, from the first one on.
	InTurn
	// AtRandom takes any of the slots of Places.
	AtRandom
	// Fixed takes the only slot of Places.
	Fixed
	// ByHash takes the slot at the place that PlaceOf returns.
	ByHash
	// ByPenHash takes the slot that is C Pen's hash of the client's address modulo
	// the number of slots; ByPenHashPort includes the port.
	ByPenHash
	ByPenHashPort
)

// maxPlaces bounds the places of a view. Weights whose sum is larger are approximated
// for turns and draws; for hashes the choice must be asked for.
const maxPlaces = 1 << 16

// A turn is a server's part in smooth round-robin.
type turn struct {
	slot             int32
	deadline, stride uint64
}

// View returns the pool's state. It costs O(servers).
func (p *Pool) View(now time.Duration) *View {
	p.expire(now)
	v := &View{
		Revision: p.revision, Algorithm: p.algorithm, Panicking: p.panics,
		Servers: make([]ServerView, 0, len(p.servers)), slot: None, Abuse: p.serverView(p.abuse),
	}
	v.Until, v.Ends = p.NextChange()
	for _, s := range p.servers {
		v.Servers = append(v.Servers, p.serverView(s))
	}
	for _, s := range p.emergency {
		v.Emergency = append(v.Emergency, p.serverView(s))
	}
	p.viewChoice(v)
	return v
}

func (p *Pool) serverView(s *Server) ServerView {
	return ServerView{
		Slot: s.Slot, Config: s.configured, First: s.Addr, Refuses: p.verdictUnderPanic(s, p.now), HalfOpen: p.HalfOpen(s),
		Weight: s.effectiveWeight(), NoNew: p.takesNoNew(s), Conns: s.conns,
	}
}

// viewChoice copies what the algorithm chooses by. The places are made later, without
// the lock that guards the pool.
func (p *Pool) viewChoice(v *View) {
	switch p.algorithm {
	case RoundRobin:
		v.Choice = InTurn
		for i, first := p.available.from(p.turn+1), None; i != None && i != first; i = p.available.from(i + 1) {
			v.turns = append(v.turns, turn{slot: int32(i)})
			if first == None {
				first = i
			}
		}
	case SmoothRoundRobin, Random:
		v.Choice = InTurn
		if p.algorithm == Random {
			v.Choice = AtRandom
		}
		for slot := p.open.next(0); slot >= 0; slot = p.open.next(slot + 1) {
			s := p.servers[slot]
			v.turns = append(v.turns, turn{int32(slot), s.deadline, smoothStride(s)})
		}
	case Prio, First:
		slot, _ := p.Preferred(netip.AddrPort{})
		v.Choice, v.slot = Fixed, int32(slot)
	case Hash:
		v.Choice = ByPenHash
	case HashPort:
		v.Choice = ByPenHashPort
	case StaticHash, Maglev:
		v.maglev = p.settings.Maglev
		if p.settings.Bound == 0 {
			v.Choice = ByHash
		}
	}
}

// Places returns slots, as Choice says. A slot that takes no new clients, or that is
// out of range, means that the Pool must be asked. It may take some milliseconds the
// first time.
func (v *View) Places() []int32 {
	v.once.Do(func() {
		switch v.Choice {
		case InTurn, AtRandom:
			v.places = v.period()
		case Fixed:
			v.places = []int32{v.slot}
		case ByHash:
			if v.places = v.shares(); v.Algorithm == Maglev {
				v.places = v.maglev.slots
			}
		}
	})
	return v.places
}

// period returns one period of smooth round-robin, or at least a large part of one.
// Plain round-robin has no weights, so its period is its order.
func (v *View) period() []int32 {
	n, common := uint64(0), uint64(0)
	order := make([]int32, 0, len(v.turns))
	turns := heap.New(func(a, b *turn) bool {
		return cmp.Or(cmp.Compare(a.deadline, b.deadline), cmp.Compare(a.slot, b.slot)) < 0
	}, nil)
	for i := range v.turns {
		t := v.turns[i]
		order = append(order, t.slot)
		common = gcd(common, v.Servers[t.slot].Weight)
		if v.Algorithm == Random {
			t.deadline = t.stride
		}
		turns.Push(&t)
	}
	if v.Algorithm == RoundRobin || len(order) == 0 {
		return order
	}
	for _, slot := range order {
		n += v.Servers[slot].Weight / common
	}
	places := make([]int32, min(n, maxPlaces))
	for i := range places {
		t := turns.First()
		places[i] = t.slot
		t.deadline += t.stride
		turns.Fix(0)
	}
	return places
}

// shares returns each slot as often as its configured weight says, in order, or nil if
// that takes more than maxPlaces.
func (v *View) shares() []int32 {
	total, common := uint64(0), uint64(0)
	for _, s := range v.Servers {
		if s.Used() {
			common = gcd(common, uint64(max(s.Config.Weight, 0)))
			total += uint64(max(s.Config.Weight, 0))
		}
	}
	if total == 0 || total/common > maxPlaces {
		return nil
	}
	places := make([]int32, 0, total/common)
	for _, s := range v.Servers {
		if s.Used() {
			places = append(places, slices.Repeat([]int32{int32(s.Slot)}, max(s.Config.Weight, 0)/int(common))...)
		}
	}
	return places
}

func gcd(a, b uint64) uint64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// PlaceOf returns the place of a client in n places: see ByHash.
func PlaceOf(client netip.Addr, n int) int { return int(reduce(hashClient(client), uint64(n))) }

// Pick returns the slot that the algorithm chooses for an unknown client, for Choices
// that depend on nothing else. ok is false if the Pool must be asked, or if it is for
// the caller to take turns.
func (v *View) Pick(client netip.AddrPort) (slot int, ok bool) {
	places := v.Places()
	slot = None
	switch {
	case v.Choice == Fixed:
		slot = int(v.slot)
	case v.Choice == ByHash && len(places) > 0 && client.Addr().IsValid():
		slot = int(places[PlaceOf(client.Addr(), len(places))])
	case (v.Choice == ByPenHash || v.Choice == ByPenHashPort) && len(v.Servers) > 0:
		slot = int(hash(client, v.Choice == ByPenHashPort) % uint32(len(v.Servers)))
	}
	return slot, slot >= 0 && slot < len(v.Servers) && v.Servers[slot].Takes(false)
}
