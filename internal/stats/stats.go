// Package stats is the picture of a running Pen at one moment, and the texts
// in which it is shown: replies of the control port, the status page, and the
// report that the USR1 signal asks for. The formats are those of Pen, byte for
// byte (specification, sections 18 and 19).
package stats

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"time"
)

// A Snapshot is what Pen was doing at Time. Who makes it owns it; nothing here
// changes it.
type Snapshot struct {
	Name    string    // of the service; "" for the first one
	Time    time.Time // shown in its own location
	Current int       // slot of the server last tried
	Servers []Server  // one for each slot, gaps included

	Clients    []Client
	ClientsMax int    // how many clients are remembered at most
	Evicted    uint64 // clients that were forgotten because others wanted their places

	Refused []Refused // what was refused or dropped since the start, if anything

	Certificates []Certificate // of TLS towards clients

	// Conns are the connections of clients; idlers are left out. Those whose
	// State is 0 are unused and not shown.
	Conns    []Conn
	ConnMax  int // how many connections there may be
	ConnUsed int // how many there are
	ConnLast int // number of the connection last made
}

// Refused is how often something was refused or dropped, and why.
type Refused struct {
	Reason string
	Count  uint64
}

// A Certificate is what TLS shows to clients.
type Certificate struct {
	Names    []string
	Source   string    // a file, or "acme"
	NotAfter time.Time // zero: there is none yet
	Issuer   string
	Stapled  bool   // with an OCSP response
	Problem  string // what is wrong with it; empty: nothing
}

// String returns a line.
func (c Certificate) String() string {
	text := fmt.Sprintf("%s from %s", strings.Join(c.Names, " "), c.Source)
	if !c.NotAfter.IsZero() {
		text += fmt.Sprintf(", until %s, issued by %s", c.NotAfter.UTC().Format(time.DateTime), c.Issuer)
	}
	if c.Stapled {
		text += ", stapled"
	}
	if c.Problem != "" {
		text += ": " + c.Problem
	}
	return text
}

// A Service is an overview of one service.
type Service struct {
	Name           string // "" for the first one
	Protocol       string
	Listen         []string // bound addresses
	Servers        int      // that are there
	Available      int      // that take clients now
	Conns, ConnMax int
	Table          string // of clients, if it is shared
	Clients        int
}

// A Server is one slot of the server table.
type Server struct {
	Slot int
	Used bool   // false: a gap, nothing but Slot is known
	Addr string // address without port, or path of a Unix socket
	Port int    // 1 for a Unix socket

	Conns     int // open now
	Max, Hard int // limits; 0: none
	Weight    int
	Prio      int

	Sent     uint64 // bytes read from clients for it
	Received uint64 // bytes read from it

	FailedAt time.Time // last connection failure; zero: not blacklisted

	Name  string
	State string    // in a word or a few
	Until time.Time // when the state ends by itself, if it does
	// Share is the weight that counts now.
	Share float64
	// Checks are what its checks and its agent have found, if it has any.
	Checks []Check
	// Missing is why there is no address of a server that is given by name.
	Missing string
}

// Found returns in words what was found of the server, or an empty string.
func (s Server) Found() string {
	if s.Missing != "" {
		return s.Missing
	}
	var words []string
	for _, c := range s.Checks {
		words = append(words, c.String())
	}
	return strings.Join(words, ", ")
}

// A Check is what a health check of a server, or its agent, has found.
type Check struct {
	Kind   string // such as "tcp" or "agent"
	State  string // or what the agent reports
	DryRun bool   // it has no effect
	// Reason and Duration are those of the last attempt; an empty Reason is that
	// there was none.
	Reason   string
	Duration time.Duration
}

// String returns the check in words.
func (c Check) String() string {
	text := c.Kind + " " + c.State
	if c.DryRun {
		text += " (dry_run)"
	}
	if c.Reason != "" {
		text += fmt.Sprintf(", %s in %v", c.Reason, c.Duration.Round(10*time.Microsecond))
	}
	return text
}

// A Client is one remembered client.
type Client struct {
	Slot   int
	Addr   string
	Last   time.Time // when it last connected; zero: an unused slot
	Server int       // slot that it last used; -1: none

	Connects uint64
	Sent     uint64 // bytes to it
	Received uint64 // bytes from it
}

// A Conn is one connection of a client through Pen to a server.
type Conn struct {
	ID int
	// State is 0 for an unused number, else the sum of 1 connecting, 2
	// connected, 4 server ended, 8 client ended, 16 half dead, 32 peeking.
	State  int
	DownFD int // descriptor towards the client; -1: none
	UpFD   int // descriptor towards the server; -1: none

	Client int // slots
	Server int

	PendingDown int // bytes waiting to be sent to the client
	PendingUp   int // and to the server
}

// timeLayout is how Pen writes a moment.
const timeLayout = "2006-01-02 15:04:05"

// unused stands in the place of an address where a slot has none: control
// scripts look for it, and for port 0, to find a slot that is free.
const unused = "0.0.0.0"

func (s Server) addr() string {
	if s.Used {
		return s.Addr
	}
	return unused
}

// failed is the Unix time of the last failure in seconds, 0 if there was none.
func (s Server) failed() int64 {
	if s.FailedAt.IsZero() {
		return 0
	}
	return s.FailedAt.Unix()
}

// ServersText is the reply to the command "servers": a line for each slot.
func ServersText(servers []Server) string {
	var b strings.Builder
	for _, s := range servers {
		fmt.Fprintf(&b, "%d addr %s port %d conn %d max %d hard %d weight %d prio %d sx %d rx %d\n",
			s.Slot, s.addr(), s.Port, s.Conns, s.Max, s.Hard, s.Weight, s.Prio, s.Sent, s.Received)
	}
	return b.String()
}

// StatesText is the reply to the command "state": a line for each server, at a
// moment.
func StatesText(servers []Server, now time.Time) string {
	var b strings.Builder
	for _, s := range servers {
		if !s.Used {
			continue
		}
		fmt.Fprintf(&b, "%d %s", s.Slot, s.addr())
		if s.Port != 0 && !strings.Contains(s.Addr, "/") {
			fmt.Fprintf(&b, " port %d", s.Port)
		}
		if s.Name != "" {
			fmt.Fprintf(&b, " name %s", s.Name)
		}
		fmt.Fprintf(&b, " conn %d state %s", s.Conns, strings.ReplaceAll(s.State, " ", "_"))
		if s.Until.After(now) {
			fmt.Fprintf(&b, " for %v", s.Until.Sub(now).Round(time.Second/10))
		}
		if s.State == "warming" {
			fmt.Fprintf(&b, " weight %.2f", s.Share)
		}
		if found := s.Found(); found != "" {
			fmt.Fprintf(&b, " check %s", found)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// ServicesText is the reply to the command "services": a line for each.
func ServicesText(services []Service) string {
	var b strings.Builder
	for _, s := range services {
		name, table, listen := s.Name, s.Table, strings.Join(s.Listen, " ")
		if name == "" {
			name = "-"
		}
		if table == "" {
			table = "-"
		}
		if listen == "" {
			listen = "-"
		}
		fmt.Fprintf(&b, "%s protocol %s servers %d available %d conn %d conn_max %d clients %d table %s listen %s\n",
			name, s.Protocol, s.Servers, s.Available, s.Conns, s.ConnMax, s.Clients, table, listen)
	}
	return b.String()
}

// RecentText is the reply to the command "recent": a line for each client that
// connected in the last `within`, counted in whole seconds of the clock.
func RecentText(clients []Client, now time.Time, within time.Duration) string {
	var b strings.Builder
	oldest := now.Unix() - int64(within/time.Second)
	for _, c := range clients {
		if c.Last.IsZero() || c.Last.Unix() < oldest {
			continue
		}
		fmt.Fprintf(&b, "%s connects %d sx %d rx %d\n", c.Addr, c.Connects, c.Sent, c.Received)
	}
	return b.String()
}

// ConnectionText is the reply to the command "connection N", five lines. Its
// last number is the bytes that wait to be sent either way. An unused number
// is shown as a Conn with State 0 and both descriptors -1.
func ConnectionText(c Conn) string {
	return fmt.Sprintf("Connection %d:\nstate = %d\ndownfd = %d, upfd = %d\nclient = %d, server = %d\npend = %d\n",
		c.ID, c.State, c.DownFD, c.UpFD, c.Client, c.Server, c.PendingDown+c.PendingUp)
}

// Text writes the report that USR1 asks for where no status page is set. It
// returns the first error of w.
func Text(w io.Writer, services ...Snapshot) error {
	b := bufio.NewWriter(w)
	for _, s := range services {
		if s.Name != "" {
			fmt.Fprintf(b, "Service %s\n", s.Name)
		}
		s.report(b)
	}
	return b.Flush()
}

// report writes what is known of one service.
func (s Snapshot) report(b *bufio.Writer) {
	fmt.Fprintln(b, s.summary())
	for _, v := range s.Servers {
		fmt.Fprintf(b, "Server %d status:\naddress %s\n%d\nport %d\n%d connections (%d soft, %d hard)\n%d sent, %d received\n\n",
			v.Slot, v.addr(), v.failed(), v.Port, v.Conns, v.Max, v.Hard, v.Sent, v.Received)
	}
	fmt.Fprintf(b, "Max number of clients: %d\n", s.ClientsMax)
	if s.Evicted > 0 {
		fmt.Fprintf(b, "Forgotten for lack of room: %d\n", s.Evicted)
	}
	fmt.Fprintln(b, "Active clients:")
	for _, c := range s.Clients {
		if c.Last.IsZero() {
			continue
		}
		fmt.Fprintf(b, "Client %d status:\naddress %s\nlast used %d\nlast server %d\n%d connects\n%d sent, %d received\n\n",
			c.Slot, c.Addr, c.Last.Unix(), c.Server, c.Connects, c.Sent, c.Received)
	}
	fmt.Fprintf(b, "Max number of connections: %d\nActive connections:\n", s.ConnMax)
	for _, c := range s.Conns {
		if c.State == 0 {
			continue
		}
		fmt.Fprintf(b, "Connection %d status:\ndownfd = %d, upfd = %d\npending data %d down, %d up\nclient %d, server %d\n\n",
			c.ID, c.DownFD, c.UpFD, c.PendingDown, c.PendingUp, c.Client, c.Server)
	}
	for _, c := range s.Certificates {
		fmt.Fprintf(b, "Certificate: %s\n", c)
	}
	if len(s.Refused) > 0 {
		fmt.Fprintln(b, s.refused())
	}
}

// refused is a line, empty where nothing was refused.
func (s Snapshot) refused() string {
	var words []string
	for _, r := range s.Refused {
		words = append(words, fmt.Sprintf("%s %d", r.Reason, r.Count))
	}
	if words == nil {
		return ""
	}
	return "Refused or dropped: " + strings.Join(words, ", ")
}

func (s Snapshot) summary() string {
	return fmt.Sprintf("Time %s, %d servers, %d current", s.Time.Format(timeLayout), len(s.Servers), s.Current)
}
