package stats

import (
	"bufio"
	"fmt"
	"html"
	"io"
)

// HTML writes the status page (option -w, command "status"): the servers, the
// clients that are remembered and the connections that are open, as three
// tables for each service. It returns the first error of w.
func HTML(w io.Writer, services ...Snapshot) error {
	b := bufio.NewWriter(w)
	fmt.Fprint(b, "<html>\n<head>\n<title>Pen status page</title>\n</head>\n",
		"<body bgcolor=\"#ffffff\"><h1>Pen status page</h1>\n")
	for _, s := range services {
		if s.Name != "" {
			fmt.Fprintf(b, "<h1>Service %s</h1>\n", html.EscapeString(s.Name))
		}
		s.tables(b)
	}
	fmt.Fprint(b, "</body>\n</html>\n")
	return b.Flush()
}

// tables writes what is known of one service.
func (s Snapshot) tables(b *bufio.Writer) {
	fmt.Fprintf(b, "%s<p>\n", html.EscapeString(s.summary()))
	tableStart(b, "server", "address", "status", "port", "connections", "max soft", "max hard",
		"sent", "received", "weight", "prio")
	for _, v := range s.Servers {
		tableRow(b, v.Slot, v.addr(), v.failed(), v.Port, v.Conns, v.Max, v.Hard,
			v.Sent, v.Received, v.Weight, v.Prio)
	}
	tableEnd(b)

	fmt.Fprintf(b, "<h2>Active clients</h2>Max number of clients: %d<p>", s.ClientsMax)
	if s.Evicted > 0 { // C Pen's page has no such line
		fmt.Fprintf(b, "Forgotten for lack of room: %d<p>", s.Evicted)
	}
	tableStart(b, "client", "address", "age(secs)", "last server", "connects", "sent", "received")
	for _, c := range s.Clients {
		if !c.Last.IsZero() {
			age := s.Time.Unix() - c.Last.Unix()
			tableRow(b, c.Slot, c.Addr, age, c.Server, c.Connects, c.Sent, c.Received)
		}
	}
	tableEnd(b)

	fmt.Fprintf(b, "<h2>Active connections</h2>Number of connections: %d max, %d used, %d last<p>",
		s.ConnMax, s.ConnUsed, s.ConnLast)
	tableStart(b, "connection", "downfd", "upfd", "pending data down", "pending data up", "client", "server")
	for _, c := range s.Conns {
		if c.State != 0 {
			tableRow(b, c.ID, c.DownFD, c.UpFD, c.PendingDown, c.PendingUp, c.Client, c.Server)
		}
	}
	tableEnd(b)
	for _, c := range s.Certificates {
		fmt.Fprintf(b, "<p>Certificate: %s</p>\n", html.EscapeString(c.String()))
	}
	if len(s.Refused) > 0 {
		fmt.Fprintf(b, "<p>%s</p>\n", html.EscapeString(s.refused()))
	}
}

func tableStart(b *bufio.Writer, columns ...string) {
	fmt.Fprint(b, "<table bgcolor=\"#c0c0c0\">\n<tr>\n")
	for _, c := range columns {
		fmt.Fprintf(b, "<td bgcolor=\"#80f080\">%s</td>\n", c)
	}
	fmt.Fprint(b, "</tr>\n")
}

func tableRow(b *bufio.Writer, cells ...any) {
	fmt.Fprint(b, "<tr>\n")
	for _, c := range cells {
		fmt.Fprintf(b, "<td>%s</td>\n", html.EscapeString(fmt.Sprint(c)))
	}
	fmt.Fprint(b, "</tr>\n")
}

func tableEnd(b *bufio.Writer) { fmt.Fprint(b, "</table>\n") }
