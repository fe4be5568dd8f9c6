package names

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/miekg/dns"
)

// The limits are resolv.conf(5)'s, but for the number of search domains.
const (
	maxServers  = 3
	maxSearch   = 32
	maxTimeout  = 30 * time.Second // of a question to one server
	maxAttempts = 5                // to ask all of them
	maxFile     = 16 << 20         // bytes; lists of unwanted hosts are long
)

// A file is read again when it has changed. While it is missing, unreadable, or too long,
// the last good contents stay in use. It may be used from any goroutine.
type file[T any] struct {
	path  string
	parse func([]byte) T

	mu    sync.Mutex // guards all below
	mtime time.Time
	size  int64
	value T
}

// newFile returns a file that is not read yet: until it exists, it counts as empty.
func newFile[T any](path string, parse func([]byte) T) *file[T] {
	return &file[T]{path: path, parse: parse, value: parse(nil), size: -1}
}

// get returns the contents of the file. It blocks as the file system does.
func (f *file[T]) get() T {
	f.mu.Lock()
	defer f.mu.Unlock()
	st, err := os.Stat(f.path)
	same := err == nil && st.ModTime().Equal(f.mtime) && st.Size() == f.size
	if err != nil || same || !st.Mode().IsRegular() || st.Size() > maxFile {
		return f.value
	}
	if b, err := readFile(f.path); err == nil {
		f.value, f.mtime, f.size = f.parse(b), st.ModTime(), st.Size()
	}
	return f.value
}

func readFile(path string) ([]byte, error) {
	r, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // it may have become a FIFO
	if err != nil {
		return nil, err
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err == nil && len(b) > maxFile {
		err = errors.New("too long")
	}
	return b, err
}

// hosts are the addresses of a hosts(5) file, by name in canonical form.
type hosts map[string][]netip.Addr

func parseHosts(b []byte) hosts {
	h := hosts{}
	for line := range bytes.Lines(b) {
		line, _, _ = bytes.Cut(line, []byte("#"))
		f := strings.Fields(string(line))
		if len(f) == 0 {
			continue
		}
		addr, err := netip.ParseAddr(f[0])
		if err != nil {
			continue
		}
		for _, name := range f[1:] {
			if isName(name) {
				name = canonical(name)
				h[name] = append(h[name], addr.Unmap())
			}
		}
	}
	return h
}

// A resolvConf is what a resolv.conf(5) file says: which servers to query, and how. It is
// immutable.
type resolvConf struct {
	servers  []string // with their ports
	timeout  time.Duration
	attempts int
	search   *dns.ClientConfig // for its list of names only
}

// parseResolvConf parses a file, within bounds. Missing settings have their defaults.
func parseResolvConf(b []byte) resolvConf {
	read, err := dns.ClientConfigFromReader(bytes.NewReader(b))
	if err != nil {
		read, _ = dns.ClientConfigFromReader(bytes.NewReader(nil))
	}
	c := resolvConf{
		timeout:  min(time.Duration(min(read.Timeout, 3600))*time.Second, maxTimeout),
		attempts: min(read.Attempts, maxAttempts),
		search:   &dns.ClientConfig{Ndots: read.Ndots},
	}
	for _, s := range read.Servers {
		if addr, err := netip.ParseAddr(s); err == nil && len(c.servers) < maxServers {
			c.servers = append(c.servers, net.JoinHostPort(addr.String(), "53"))
		}
	}
	if len(c.servers) == 0 {
		c.servers = []string{"127.0.0.1:53"}
	}
	for _, s := range read.Search {
		if s = strings.TrimSuffix(s, "."); isName(s) && len(c.search.Search) < maxSearch {
			c.search.Search = append(c.search.Search, s)
		}
	}
	return c
}

// candidates returns the names to query for a name, in canonical form and in order.
func (c *resolvConf) candidates(name string) []string {
	var list []string
	for _, s := range c.search.NameList(name) {
		if isName(s) { // not too long
			list = append(list, canonical(s))
		}
	}
	return list
}
