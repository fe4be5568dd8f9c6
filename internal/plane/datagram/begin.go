package datagram

import (
	"errors"
	"net"
	"time"

	"pen/internal/dispatch"
	"pen/internal/plane"
	"pen/internal/sock"
	"pen/internal/wire"
)

// oneWay is after how many datagrams without any answer nobody waits for one:
// from then on they may go to servers in turn. Clients that do want an answer,
// such as resolvers and QUIC, send a few at once, and all of those must go to one
// server.
const oneWay = 4

// flowOf returns the flow that a client's datagram goes to, or nil where it goes
// nowhere.
func (p *Plane) flowOf(from peer, h wire.Header) *flow {
	f := p.flows.of[from]
	if f == nil {
		return p.beginOrDrop(from, h)
	}
	if p.isOver(f) {
		p.end(f, dispatch.ByStop)
		return p.beginOrDrop(from, h)
	}
	switch p.obey(f) {
	case dispatch.Rejudge:
		return p.beginOrDrop(from, h)
	case dispatch.Move:
		p.drop(from)
		return nil
	}
	r := p.rules()
	if !r.PerDatagram && (f.answers.Load() > 0 || f.sent < oneWay) {
		return f
	}
	if other := p.inTurn(f, f.policy.Turn()); other != nil {
		return other
	}
	return f
}

// beginOrDrop makes a flow for a client's datagram, or drops that.
func (p *Plane) beginOrDrop(from peer, h wire.Header) *flow {
	f, ok := p.begin(from, h, dispatch.None)
	if !ok {
		p.drop(from)
	}
	return f
}

// lastWords is how long conversations go on when the listener takes nothing new.
const lastWords = 30 * time.Second

// isOver reports whether a flow has gone on for long enough at a listener that
// takes nothing new: a client that goes on sending would keep it for ever.
func (p *Plane) isOver(f *flow) bool {
	return !p.retired.IsZero() && (f.answers.Load() == 0 || time.Since(p.retired) > lastWords)
}

// obey has the configuration hold for a flow that goes on. It returns Stay, or
// another ruling where the flow has ended for that.
func (p *Plane) obey(f *flow) dispatch.Ruling {
	ruling := f.policy.Rule(&f.target)
	switch ruling {
	case dispatch.Rejudge:
		p.end(f, dispatch.ByRules)
	case dispatch.Move:
		f.policy.Leave()
		f.disconnect()
		if p.connect(f) {
			return dispatch.Stay
		}
		p.end(f, dispatch.Refused)
	}
	return ruling
}

// inTurn returns the flow of f's client to the server of a slot, which it makes
// if need be, or nil.
func (p *Plane) inTurn(f *flow, slot int) *flow {
	if slot == dispatch.None || slot == f.target.Slot {
		return nil
	}
	for g := p.flows.of[f.peer]; g != nil; g = g.next {
		if g.wanted != slot {
			continue
		}
		if g.target.Slot != slot && time.Since(g.since) > brief { // its server was away
			p.end(g, dispatch.ByRebalance)
			break
		}
		if p.obey(g) == dispatch.Stay {
			return g
		}
		break
	}
	g, _ := p.begin(f.peer, f.header, slot)
	return g
}

// begin makes a flow, and reports false where the client gets none; where it is
// answered here, it gets none either. slot is the server that the flow is for, or
// dispatch.None.
func (p *Plane) begin(from peer, h wire.Header, slot int) (f *flow, ok bool) {
	if !p.retired.IsZero() {
		p.d.Drop(dispatch.Stopping, 1)
		return nil, false
	}
	if listeners.has(from.addr) {
		p.d.Drop(dispatch.Looped, 1)
		return nil, false
	}
	if g := p.flows.by[h.Source.Addr()]; g != nil {
		p.remember(g) // it comes from another port
	}
	f = &flow{plane: p, peer: from, header: h, wanted: slot, control: sock.FromAsked(from.asked)}
	f.serverFD.Store(-1)
	policy, err := p.admit(h, f)
	if err != nil {
		p.log.Debug("client refused", "client", from, "reason", err)
		return nil, false
	}
	f.policy = policy
	if policy.Dummy() {
		f.reply([]byte(plane.DummyPage))
		policy.Done(dispatch.ByCompletion)
		return nil, true
	}
	if slot != dispatch.None {
		policy.Prefer(slot)
	}
	if !p.connect(f) {
		policy.Done(dispatch.Refused)
		return nil, false
	}
	f.seen = time.Now()
	p.flows.add(f)
	p.trim(silent)
	return f, true
}

// admit has a client judged, and only then ends another flow where that is the
// only way to make room.
func (p *Plane) admit(h wire.Header, f *flow) (*dispatch.Flow, error) {
	policy, err := p.d.Admit(h.Source, f)
	if !errors.Is(err, dispatch.ErrFull) {
		return policy, err
	}
	if victim := p.flows.leastMissed(time.Now()); victim != nil {
		p.displace(victim)
		policy, err = p.d.Admit(h.Source, f)
	}
	if errors.Is(err, dispatch.ErrFull) {
		p.d.Refuse(h.Source, dispatch.Full)
	}
	return policy, err
}

func (p *Plane) displace(f *flow) {
	p.end(f, dispatch.ByDisplacement)
}

// trim keeps a group of flows within its bound. Two at a time are enough to
// bring it there: every new flow calls it.
func (p *Plane) trim(g group) {
	most, now := p.rules().Unproven, time.Now()
	for range 2 {
		f := p.flows.surplus(g, most, now)
		if f == nil {
			return
		}
		p.displace(f)
	}
}

// touch notes that a flow's client has sent. One that comes back after an answer
// is a client to remember: what it sent before was not sent by somebody else in
// its name.
func (p *Plane) touch(f *flow) {
	g := f.group
	if f.answers.Load() > 0 {
		g = proven
	}
	p.flows.touch(f, time.Now(), g)
	p.remember(f)
}

// remember has the client table remember a flow's server, if that has answered.
func (p *Plane) remember(f *flow) {
	if f.heard && !f.remembered {
		f.remembered = true
		f.policy.Remember()
	}
}

// hear notes the first answer that comes from a flow's server by its socket.
func (p *Plane) hear(f *flow, c net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if f.server != c {
		return
	}
	f.heard = true
	f.policy.Answered()
	if client := f.client(); client.IsValid() {
		p.flows.by[client] = f
	}
	if f.group == silent {
		p.flows.promote(f, answered)
		if !p.rules().PerDatagram && p.flows.isBound(f) {
			p.flows.only(f) // where its client's datagrams went to several servers
		}
		p.trim(answered)
	}
}

// conclude is settle after an answer, or when everything has been sent.
func (p *Plane) conclude(f *flow, c net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if f.server == c {
		p.settle(f)
	}
}

// settle ends a flow that has all of its answers, and has nothing more go to one
// that has had all of its datagrams.
func (p *Plane) settle(f *flow) {
	r := p.rules()
	if f.ended.Load() || r.Requests > 0 && f.sent < r.Requests {
		return
	}
	if r.Responses >= 0 && len(f.waiting) == 0 && f.server != nil && int(f.answers.Load()) >= r.Responses*f.sent {
		p.end(f, dispatch.ByCompletion)
		return
	}
	if r.Requests > 0 {
		p.flows.unbind(f)
	}
}

// connect goes through the servers that the flow offers to one that can be
// sent to, or has it wait without one. It reports false where neither is
// possible.
func (p *Plane) connect(f *flow) bool {
	for {
		t, ok := f.policy.Next()
		if !ok && f.policy.Wait(func() { p.woken.add(f) }) {
			return true
		}
		if !ok {
			p.log.Debug("no server for client", "client", f.peer)
			return false
		}
		err := f.connect(t)
		if err == nil {
			f.policy.Ready()
			return true
		}
		p.failed(f, err, f.policy.Failed(plane.Blame(err)))
	}
}

// move takes a flow to the next server, because its own refuses it, and ends it
// where there is none.
func (p *Plane) move(f *flow, why error) bool {
	p.failed(f, why, f.policy.Lost(p.blame(f, why)))
	f.disconnect()
	if !p.connect(f) {
		p.end(f, dispatch.Refused)
		return false
	}
	return true
}

// errUnproven says that a server may well be there although one client's
// datagram was refused.
var errUnproven = errors.New("not confirmed by other clients")

// end ends a flow, once.
func (p *Plane) end(f *flow, why dispatch.Ending) {
	if f.place == nil || f.ended.Load() {
		return
	}
	p.flows.remove(f)
	f.disconnect()
	f.ended.Store(true)
	f.policy.Done(why)
	p.checkEmpty()
}
