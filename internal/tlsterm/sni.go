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

	"pen/internal/pemfile"
)

const (
	// maxSites is how many names are cached; the least recently used is dropped.
	maxSites = 1024
	// recheck is how long files are not checked again.
	recheck = 3 * time.Second
	// maxStale is how old a site may be to serve clients while another goroutine
	// checks its files.
	maxStale = time.Minute
	// maxRestricted is how many names with authorities of their own are remembered.
	// At that number, names without their own are refused.
	maxRestricted = 1 << 17
)

// A directory is a folder with the files of many names, which are read when a
// client asks for a name.
//
// It keeps the list of the folder, so that unknown names cost neither disk access
// nor memory. A name with bad files is refused, or keeps its last good content. A
// name that once had its own authorities is never served without them: otherwise
// replacing the file would let everybody in for a moment.
type directory struct {
	path    string
	maker   *maker
	require bool
	log     *slog.Logger
	now     func() time.Time

	mu     sync.Mutex    // guards all below, and the entries
	listed time.Time     // when the folder was last listed
	was    pemfile.Files // its state then
	names  map[string]bool
	// restricted are the names that have had their own authorities since the start
	// or the last distrust. It grows by the list of the folder, not by requests.
	restricted map[string]bool
	entries    map[string]*entry
	used       list.List // of entries, the most recently used in front
}

// An entry is the cache entry of a name.
type entry struct {
	name     string
	element  *list.Element // in used
	site     *site         // nil: not read yet
	checked  time.Time     // when the files were last checked
	distrust bool          // the next check reads all files, and accepts missing ones
	busy     chan struct{} // closed when the check under way is over; nil: none is
}

// newDirectory lists a folder, which must exist.
func newDirectory(path string, m *maker, require bool, log *slog.Logger) (*directory, error) {
	d := &directory{path: path, maker: m, require: require, log: log, now: time.Now, entries: map[string]*entry{}, restricted: map[string]bool{}}
	names, was, err := d.list()
	if err != nil {
		return nil, fmt.Errorf("certificates by name: %w", err)
	}
	d.listed = d.now()
	d.setNames(names, was)
	return d, nil
}

// setNames replaces the list of the folder. d.mu is held, or d is not shared yet.
func (d *directory) setNames(names map[string]bool, was pemfile.Files) {
	d.names, d.was = names, was
	for name, restricted := range names {
		if restricted {
			d.restrict(name)
		}
	}
}

// restrict remembers that a name has its own authorities. d.mu is held, or d is not
// shared yet.
func (d *directory) restrict(name string) {
	if len(d.restricted) < maxRestricted {
		d.restricted[name] = true
	}
}

// mayBeFree reports whether a name may be served without its own authorities. d.mu
// is held.
func (d *directory) mayBeFree(name string) bool {
	return !d.restricted[name] && len(d.restricted) < maxRestricted
}

// list returns the names that have files, and whether each has its own authorities.
func (d *directory) list() (map[string]bool, pemfile.Files, error) {
	was := pemfile.Files{}
	if err := was.Stat(d.path); err != nil {
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

// find returns the identity for a name that wire.HostName permits, or nil if the
// folder has none. It may block for the disk.
func (d *directory) find(hello *tls.ClientHelloInfo, name string, global *clientAuth) (*identity, error) {
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
		if s := e.site; s != nil && s.global == global && !e.distrust && (age < recheck || age < maxStale && e.busy != nil) {
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
			continue // the files are gone
		}
		if err != nil {
			return nil, err
		}
		return s.id, s.refusal()
	}
}

// entry returns the entry of a name, a new one if it has none, or nil for a name
// that is not in the folder. d.mu is held.
func (d *directory) entry(name string) *entry {
	if e := d.entries[name]; e != nil {
		d.used.MoveToFront(e.element)
		return e
	}
	if _, there := d.names[name]; !there {
		return nil
	}
	if len(d.entries) >= maxSites {
		d.forget(d.used.Back().Value.(*entry))
	}
	e := &entry{name: name}
	e.element = d.used.PushFront(e)
	d.entries[name] = e
	return e
}

// forget drops an entry. d.mu is held.
func (d *directory) forget(e *entry) {
	if d.entries[e.name] == e {
		delete(d.entries, e.name)
		d.used.Remove(e.element)
	}
}

// due reports whether the folder should be listed again.
func (d *directory) due() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.now().Sub(d.listed) >= recheck
}

// relist lists the folder again, unless another goroutine just has. If it cannot be
// read the old list remains.
func (d *directory) relist() {
	d.mu.Lock()
	now, was, last := d.now(), d.was, d.listed
	if now.Sub(last) < recheck {
		d.mu.Unlock()
		return
	}
	d.listed = now // others use the old list meanwhile
	d.mu.Unlock()
	// Modification times are as coarse as the kernel's tick: a list made just after
	// one change may miss another.
	st := was[d.path]
	if !was.Changed() && last.Sub(st.ModTime()) > recheck {
		return
	}
	names, was, err := d.list()
	d.mu.Lock()
	defer d.mu.Unlock()
	if err == nil {
		d.setNames(names, was)
	}
}

// distrust makes all names be read again when a client next asks for them.
func (d *directory) distrust() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.listed, d.was = time.Time{}, pemfile.Files{d.path: nil}
	clear(d.restricted)
	for _, e := range d.entries {
		e.distrust = true
	}
}

// sites returns copies of the entries with a site, sorted by name.
func (d *directory) sites() []*entry {
	d.mu.Lock()
	defer d.mu.Unlock()
	var all []*entry
	for _, e := range d.entries {
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
