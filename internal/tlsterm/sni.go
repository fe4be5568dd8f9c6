package tlsterm

import (
	"container/list"
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// maxSites is how many names are kept ready; what is used least is read
	// again when it is asked for.
	maxSites = 1024
	// recheck is how long files are not looked at again.
	recheck = 3 * time.Second
	// longest is how old what was last seen may be for clients to be served
	// with it while somebody looks again.
	longest = time.Minute
	// maxRestricted is how many names that have had authorities of their own are
	// remembered. With more of them nobody gets a name without any.
	maxRestricted = 1 << 17
)

// A directory is a folder with the files of many names, which are read when a
// client asks for a name.
//
// It knows what the folder lists, so that names that are not there cost neither
// a look at the disk nor memory, however many are asked for. A name that is
// there and not as it should be is refused, or goes on as it was. A name that has
// had authorities of its own is never served without: to miss them would let in
// everybody, in the moment in which somebody replaces a file.
type directory struct {
	path    string
	maker   *maker
	require bool
	log     *slog.Logger
	now     func() time.Time

	mu     sync.Mutex // guards what follows, and the entries
	listed time.Time  // when the folder was last looked at
	was    reading    // what it was like
	names  map[string]bool
	// restricted are the names that the folder has had authorities for since the
	// start or the last distrust. It grows by what the folder lists, not by what
	// clients ask for.
	restricted map[string]bool
	known      map[string]*entry
	used       list.List // of entries, the last used in front
}

// An entry is a name that has been asked for.
type entry struct {
	name     string
	place    *list.Element
	site     *site         // as it was last seen; nil: not yet
	checked  time.Time     // when that was
	distrust bool          // what is not there any more need not be missed
	busy     chan struct{} // closed when whoever looks at the files has; nil: nobody does
}

// A site is what the files of a name say. It is not changed.
type site struct {
	read   reading
	global *clients // what those had to show who need not show anything else
	own    *clients // of NAME.ca, or nil
	cert   tls.Certificate
	id     *identity // nil: refuse
	err    error     // what is wrong with the files
}

// newDirectory looks at a folder, which must be there.
func newDirectory(path string, m *maker, require bool, log *slog.Logger) (*directory, error) {
	d := &directory{path: path, maker: m, require: require, log: log, now: time.Now, known: map[string]*entry{}, restricted: map[string]bool{}}
	names, was, err := d.list()
	if err != nil {
		return nil, fmt.Errorf("certificates by name: %w", err)
	}
	d.listed = d.now()
	d.learn(names, was)
	return d, nil
}

// learn takes over what was listed. d.mu is held, or nobody else has d yet.
func (d *directory) learn(names map[string]bool, was reading) {
	d.names, d.was = names, was
	for name, restricted := range names {
		if restricted {
			d.restrict(name)
		}
	}
}

// restrict remembers that a name has authorities of its own. d.mu is held, or
// nobody else has d yet.
func (d *directory) restrict(name string) {
	if len(d.restricted) < maxRestricted {
		d.restricted[name] = true
	}
}

// mayBeFree reports whether a name may be served without authorities of its own.
// d.mu is held.
func (d *directory) mayBeFree(name string) bool {
	return !d.restricted[name] && len(d.restricted) < maxRestricted
}

// list returns the names that there are files for that matter, and whether there
// are authorities among them.
func (d *directory) list() (map[string]bool, reading, error) {
	was := reading{}
	if err := was.note(d.path); err != nil {
		return nil, nil, err
	}
	entries, err := os.ReadDir(d.path)
	if err != nil {
		return nil, nil, err
	}
	names := map[string]bool{}
	for _, e := range entries {
		ext := filepath.Ext(e.Name())
		if slices.Contains([]string{".crt", ".key", ".ca"}, ext) {
			name := strings.TrimSuffix(e.Name(), ext)
			names[name] = names[name] || ext == ".ca"
		}
	}
	return names, was, nil
}

// find returns the identity for a name, which must be one that wire.HostName permits,
// or nil if there is none in the folder. It may block for the disk.
func (d *directory) find(hello *tls.ClientHelloInfo, name string, global *clients) (*identity, error) {
	g, ctx := hello.Conn.(*gate), hello.Context()
	if d.due() {
		if err := g.aside(d.relist); err != nil {
			return nil, err
		}
	}
	for {
		d.mu.Lock()
		e := d.entry(name)
		if e == nil {
			free := !d.restricted[name]
			d.mu.Unlock()
			if !free {
				return nil, d.missing(name)
			}
			return nil, nil
		}
		age := d.now().Sub(e.checked)
		if s := e.site; s != nil && s.global == global && !e.distrust && (age < recheck || age < longest && e.busy != nil) {
			d.mu.Unlock()
			return s.id, s.refusal()
		}
		busy := e.busy
		if busy == nil {
			e.busy = make(chan struct{})
		}
		d.mu.Unlock()
		if busy != nil {
			if err := g.aside(func() { waitFor(ctx, busy) }); err != nil {
				return nil, err
			}
			continue
		}
		var s *site
		err := g.aside(func() { s = d.check(e, global) })
		if s == nil && err == nil {
			continue // it is gone
		}
		if err != nil {
			return nil, err
		}
		return s.id, s.refusal()
	}
}

// missing says that a name has lost its authorities.
func (d *directory) missing(name string) error {
	return fmt.Errorf("authorities %s.ca are gone, want them or a reload", filepath.Join(d.path, name))
}

// refusal is why nobody gets a site, or nil.
func (s *site) refusal() error {
	if s.id == nil {
		return s.err
	}
	return nil
}

// entry returns the entry of a name, a new one if need be, or nil if there is
// nothing of that name. d.mu is held.
func (d *directory) entry(name string) *entry {
	if e := d.known[name]; e != nil {
		d.used.MoveToFront(e.place)
		return e
	}
	if _, there := d.names[name]; !there {
		return nil
	}
	if len(d.known) >= maxSites {
		d.forget(d.used.Back().Value.(*entry))
	}
	e := &entry{name: name}
	e.place = d.used.PushFront(e)
	d.known[name] = e
	return e
}

// forget drops an entry. d.mu is held.
func (d *directory) forget(e *entry) {
	if d.known[e.name] == e {
		delete(d.known, e.name)
		d.used.Remove(e.place)
	}
}

// due reports whether it is time to look at the folder.
func (d *directory) due() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.now().Sub(d.listed) >= recheck
}

// relist looks at the folder, if nobody has meanwhile. If it cannot be read,
// what it was remains.
func (d *directory) relist() {
	d.mu.Lock()
	now, was, last := d.now(), d.was, d.listed
	if now.Sub(last) < recheck {
		d.mu.Unlock()
		return
	}
	d.listed = now // the others go on with the old list
	d.mu.Unlock()
	// The time of a change is no finer than the kernel's clock: what was read
	// just after a change may lack another one.
	st := was[d.path]
	if !was.changed() && last.Sub(st.ModTime()) > recheck {
		return
	}
	names, was, err := d.list()
	d.mu.Lock()
	defer d.mu.Unlock()
	if err == nil {
		d.learn(names, was)
	}
}

// check looks at the files of an entry that is busy, tells the others, and
// returns what there is; nil if there is nothing any more.
func (d *directory) check(e *entry, global *clients) *site {
	d.mu.Lock()
	old, distrust := e.site, e.distrust
	e.distrust = false
	d.mu.Unlock()
	now := d.now()
	s := old
	if old == nil || distrust || old.global != global || old.err != nil || old.read.changed() || old.id.expired(now) {
		s = d.load(e.name, old, global, now)
		d.tell(e.name, old, s)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	e.site, e.checked = s, d.now()
	close(e.busy)
	e.busy = nil
	if s == nil {
		d.forget(e)
		delete(d.names, e.name)
	}
	return s
}

// load reads the files of a name. What is wrong leaves the old in force. It is
// nil if there are none.
func (d *directory) load(name string, old *site, global *clients, now time.Time) *site {
	base := filepath.Join(d.path, name)
	s := &site{read: reading{}, global: global}
	ca, err := s.read.readIfThere(base + ".ca")
	if err == nil && ca != nil {
		cas, bad := parseCAs(base+".ca", ca)
		if err = bad; err == nil {
			s.own = newClients(cas, d.require)
		}
	}
	if gone := d.judge(name, s.read[base+".ca"] != nil); err == nil && gone {
		err = d.missing(name)
	}
	staple, err2 := s.read.readIfThere(base + ".ocsp")
	cert, err3 := s.read.readPair(Pair{base + ".crt", base + ".key"})
	if err == nil && s.read.none(base+".crt", base+".key", base+".ca") {
		return nil
	}
	s.cert = cert
	s.err = oneLine([]error{err, err3})
	var last *identity
	if old != nil {
		last = old.id
		if err3 != nil {
			s.cert = old.cert
		}
		if err != nil {
			s.own = old.own
		}
	}
	if s.cert.Certificate == nil || err != nil && last == nil {
		return s
	}
	show := global
	if s.own != nil {
		show = s.own
	}
	s.id = d.maker.make(base+".crt", s.cert, staple, show, last, now)
	if problem := oneLine([]error{s.err, err2}); problem != nil {
		s.id.problem = problem.Error()
	}
	return s
}

// judge notes whether a name has authorities of its own, and reports whether they
// are gone.
func (d *directory) judge(name string, there bool) (gone bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if there {
		d.restrict(name)
		return false
	}
	return !d.mayBeFree(name)
}

// none reports whether none of the files was there.
func (r reading) none(names ...string) bool {
	return !slices.ContainsFunc(names, func(name string) bool { return r[name] != nil })
}

// tell logs what is wrong with a name, unless it was so before.
func (d *directory) tell(name string, old, s *site) {
	wrong, was := s.problem(), old.problem()
	if key := filepath.Join(d.path, name+".key"); s != nil && s.read.open(key) && (old == nil || !old.read.open(key)) {
		d.log.Warn("TLS key may be read by others than its owner, want mode 0600", "key", key, "mode", s.read[key].Mode().Perm())
	}
	switch {
	case wrong == was:
	case wrong == "":
		d.log.Info("TLS files of a name are as they should be again", "name", name)
	default:
		d.log.Warn("TLS files of a name are not as they should be", "name", name, "refused", s.id == nil, "problem", wrong)
	}
}

// problem is what is wrong, of a site that may be nil.
func (s *site) problem() string {
	switch {
	case s == nil:
		return ""
	case s.id != nil:
		return s.id.problem
	}
	return s.err.Error()
}

// distrust has all names looked at anew when they are next asked for.
func (d *directory) distrust() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.listed, d.was = time.Time{}, reading{d.path: nil}
	clear(d.restricted)
	for _, e := range d.known {
		e.distrust = true
	}
}

// sites returns what is kept ready, by name.
func (d *directory) sites() []*entry {
	d.mu.Lock()
	defer d.mu.Unlock()
	var all []*entry
	for _, e := range d.known {
		if e.site != nil {
			all = append(all, &entry{name: e.name, site: e.site})
		}
	}
	slices.SortFunc(all, func(a, b *entry) int { return strings.Compare(a.name, b.name) })
	return all
}

func (d *directory) rotate(now time.Time) {
	for _, e := range d.sites() {
		if e.site.id != nil {
			e.site.id.rotate(now)
		}
	}
}

func (d *directory) infos() []Info {
	var all []Info
	for _, e := range d.sites() {
		if e.site.id != nil {
			all = append(all, e.site.id.info())
		} else {
			all = append(all, Info{Names: []string{e.name}, Source: filepath.Join(d.path, e.name+".crt"), Error: e.site.err.Error()})
		}
	}
	return all
}

func waitFor(ctx context.Context, done <-chan struct{}) {
	select {
	case <-done:
	case <-ctx.Done():
	}
}
