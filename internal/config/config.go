// Package config is Pen's command language: it turns option letters, command
// lines and files into an immutable [Config], and a Config back into commands.
//
// One table of verbs (verbs.go) drives all of it: options, -O, files, include,
// the control socket, write and help.
package config

import (
	"fmt"
	"iter"
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"

	"pen/internal/check"
)

// ACLCount is how many access lists there are, numbered from 0.
const ACLCount = 10

// maxSlot is the highest number of a server.
const maxSlot = 65535

// A Config is everything that the operator may say. It is a value: to change one,
// change a copy that owns its slices; see Clone.
type Config struct {
	Global
	// Services are in the order in which they were named. There is always a first
	// one, which is called DefaultService.
	Services []Service
}

// DefaultService is the name of the first service: what a command is for that
// names none.
const DefaultService = "default"

// A Global has the settings of Pen as a whole.
type Global struct {
	ACLs       [ACLCount][]ACLEntry
	ControlACL int // number of a list
	// ControlTokens and ControlLevel say what clients of a TCP control port may
	// do; a level of 0 is ControlDefault's.
	ControlTokens ControlTokens
	ControlLevel  Level
	GeoIPDB       string // file that says which country an address is in

	Chroot      string
	AgentListen string // address for servers to report to
	Log         string // file, or HOST:PORT, for requests
	WebStats    string // file for the status page
	Control     string // address of the control socket
	PidFile     string
	User        string
	Foreground  bool
	ExitEnabled bool // for the exit command
	ASCII       bool // dumps
	AbortOnErr  bool
	Debug       int
	ConfigFile  string // from the command line; not a part of what is printed
}

// A Service is a listener with its rules and its servers.
type Service struct {
	Name      string
	Listen    string   // words: [HOST:]PORT, or the path of a Unix socket; "" is none
	TableFile string   // keeps the client table
	Table     string   // of clients, shared with others that name it; "" is its own
	Servers   []Server // by slot; the last one is not the zero Server
	Emergency []Server // take clients when no other server does, in their order; replaced, never changed
	Abuse     Server   // takes clients that the access list denies

	ClientACL int // number of a list

	Hash, Prio, Weight bool
	RoundRobin         bool // clients are not tracked in the choice of a server
	Stubborn           bool

	Blacklist time.Duration // a failed server is out of rotation for so long
	Timeout   time.Duration // for connecting
	Tracking  time.Duration // clients are forgotten after this; 0: never

	ClientsMax  int
	ConnMax     int // 0: as many as there are descriptors for
	PendingMax  int // 0: no limit
	Backlog     int // 0: what the kernel allows
	MultiAccept int // 0: no limit

	Dummy       bool          // answer clients here, without a server
	KeepAlive   bool          // probe silent servers
	Source      string        // local address for connections to servers
	Idlers      int           // connections kept ready for clients to come
	Plane       string        // "loop" or "stream"; "" is the better one of the system
	UDP         bool          // balance datagrams instead of connections
	Transparent bool          // connect to servers from the client's address, unless there is a Source
	FastClose   string        // "up", "down", "both", or "" for off
	IdleTimeout time.Duration // connections that move nothing are closed; 0: never

	Balance          string        // an algorithm, in the place of Pen's flags; "" is none
	Bound            float64       // of Balance; 0: none
	PerDatagram      bool          // Balance chooses for each datagram, not for each flow
	Prefix4, Prefix6 int           // lengths of the networks that count as one client; 0: whole addresses
	SlowStart        time.Duration // 0: a server that comes back gets its share at once
	MaxAge           time.Duration // of connections; 0: any
	Rebalance        int           // connections that may be moved in a second
	Check            check.Spec    // of servers; the zero one is none
	Agent            check.Spec    // query of agents
	AgentPush        time.Duration // servers report themselves at least that often; 0: they do not
	Outlier          Outlier
	Panic            int  // percent of the servers; 0: never
	CloseDown        bool // end the connections of servers that checks find down
	Limits           Limits
	Queue            int // clients that may wait for a server; 0: none
	QueueTime        time.Duration

	UDPPerPacket bool // the same as PerDatagram, for any way to choose
	UDPRequests  int  // datagrams of a client in a flow; 0: any number
	UDPResponses int  // answers to each of them; negative: nobody knows
	UDPUnproven  int  // flows that wait for an answer, or for their client to come back; 0: no limit

	// What is read off or put on connections; see edges.go, tls.go, toservers.go and route.go.
	TLS           TLS       // of clients
	ServerTLS     ServerTLS // to servers
	AcceptProxy   string    // words: networks of proxies that send a PROXY header; unix, first
	SendProxy     SendProxy
	Routes        []Route // replaced, never changed
	HTTP          bool    // tell servers about clients in each request
	HTTPForwarded bool    // in the Forwarded field as well
	HTTPHead      int     // bytes of the head of a request; 0: 16 KiB
	HTTPTrust     string  // words: networks of clients that are proxies
}

// A Server is one server as the operator describes it. The zero Server is an
// unused slot.
type Server struct {
	Host      string // a name, an address, or the path of a Unix socket
	Port      int    // 0: the listener's
	Service   string // the port's name, where it was given by name
	Max, Hard int    // connections for new and for returning clients; 0: no limit
	Weight    int
	WeightSet bool // an unset weight counts as 1
	Prio      int
	ACL       int
	Name      string // "" where it has none but its slot's number
	Free      bool   // the slot was freed by address 0.0.0.0, and stays in the table
	State     State
	SendProxy string // "v1", "v2" or "off"; "" is as the service says
	TLS       string // "on" or "off"; "" likewise
	TLSName   string // what its certificate must be for; "" likewise
}

// A State is whether the operator lets a server take clients.
type State string

// The states of a server.
const (
	Enabled  State = ""
	Draining State = "drain"
	Disabled State = "disabled"
)

// Used reports whether there is a server.
func (s Server) Used() bool { return s.Host != "" }

// IsPath reports whether the server listens on a Unix socket.
func (s Server) IsPath() bool { return strings.Contains(s.Host, "/") }

// Identity is where the server is, as the operator writes it: what client tables know
// it by besides its name, in whichever slot and service it is.
func (s Server) Identity() string {
	switch {
	case !s.Used():
		return ""
	case s.Service != "":
		return s.Host + ":" + s.Service
	}
	return fmt.Sprintf("%s:%d", s.Host, s.Port)
}

// EffectiveWeight is the weight that counts.
func (s Server) EffectiveWeight() int {
	if !s.WeightSet {
		return 1
	}
	return s.Weight
}

// An ACLEntry permits or denies addresses, or a country.
type ACLEntry struct {
	Permit  bool
	Addr    netip.Addr
	Mask    uint32 // of an IPv4 address, as written
	Bits    int    // length of an IPv6 prefix
	Country string // two capital letters, or "" for an address
}

// Default returns the configuration without any setting.
func Default() Config { return Config{Services: []Service{defaultService(DefaultService)}} }

func defaultService(name string) Service {
	return Service{
		Name: name, Blacklist: 30 * time.Second, Timeout: 5 * time.Second, ClientsMax: 2048,
		Prefix6: defaultPrefix6, UDPResponses: unknownResponses, UDPUnproven: defaultUnproven,
	}
}

// Mode returns the flags of the selection of servers, as the mode command
// shows them.
func (s Service) Mode() string {
	var words []string
	for _, f := range []struct {
		on   bool
		name string
	}{{s.Hash, "hash"}, {s.RoundRobin, "roundrobin"}, {s.Stubborn, "stubborn"}, {s.Weight, "weight"}, {s.Prio, "prio"}} {
		words = append(words, negated(!f.on, f.name))
	}
	return strings.Join(words, " ")
}

func negated(no bool, name string) string {
	if no {
		return "no " + name
	}
	return name
}

// HasServer reports whether any client could be served.
func (service Service) HasServer() bool {
	return service.Dummy || len(service.Emergency) > 0 || slices.ContainsFunc(service.Servers, Server.Used)
}

// EveryServer yields the servers of the table, by their slots, and those of last
// resort, with what each is called in an error.
func (service Service) EveryServer() iter.Seq2[string, Server] {
	return func(yield func(string, Server) bool) {
		for _, s := range service.Emergency {
			if !yield("emergency server", s) {
				return
			}
		}
		if !yield("abuse server", service.Abuse) {
			return
		}
		for slot, s := range service.Servers {
			if !yield(fmt.Sprintf("server %d", slot), s) {
				return
			}
		}
	}
}

// Listeners are the addresses to listen on.
func (service Service) Listeners() []string { return splitWords(service.Listen) }

// server returns a slot, the zero Server beyond the last one.
func (service *Service) server(slot int) Server {
	if slot < len(service.Servers) {
		return service.Servers[slot]
	}
	return Server{}
}

// Clone returns a copy that shares nothing that anybody changes.
func (c Config) Clone() Config {
	c.own()
	return c
}

// Sharing returns an equal Config that shares its tables of servers with another
// one where they are equal: tables may be long, and most changes leave them as
// they are.
func (c Config) Sharing(other Config) Config {
	c.Services = slices.Clone(c.Services)
	for i := range c.Services {
		s := &c.Services[i]
		if o := other.Service(s.Name); o != nil && slices.Equal(s.Servers, o.Servers) {
			s.Servers = o.Servers
		}
	}
	return c
}

// own gives c services and tables of servers that nobody else reads, and lists
// that nobody else appends to. Without it no verb may change c.
func (c *Config) own() {
	c.Services = slices.Clone(c.Services)
	for i := range c.Services {
		c.Services[i].Servers = slices.Clone(c.Services[i].Servers)
	}
	for i := range c.ACLs {
		c.ACLs[i] = slices.Clip(c.ACLs[i])
	}
}

// setServer puts a server into a slot. The table must be c's own.
func (service *Service) setServer(slot int, s Server) {
	n := len(service.Servers)
	switch {
	case slot < n:
		service.Servers[slot] = s
	case s != (Server{}):
		service.Servers = append(service.Servers, make([]Server, slot+1-n)...)
		service.Servers[slot] = s
		return
	}
	for n > 0 && service.Servers[n-1] == (Server{}) {
		n--
	}
	service.Servers = service.Servers[:n]
	if n == 0 {
		service.Servers = nil
	}
}

const maxInt = math.MaxInt32
