package scale_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"pen/internal/testenv"
	"pen/test/internal/lab"
)

const (
	reloadTurns     = 20
	reloadRate      = 5000 // connections a second, if the machine can
	requestsAMidst  = 400  // between two reloads, at least
	rememberedThere = 300  // clients
)

// While new connections come at a high rate, the configuration is changed and reloaded
// many times: servers and a service come and go, weights and the algorithm change. No
// connection fails, and clients whose server stays are neither forgotten nor sent
// elsewhere.
func TestReloadUnderLoad(t *testing.T) {
	for _, plane := range []string{"loop", "stream"} {
		t.Run(plane, func(t *testing.T) { testReloadUnderLoad(t, plane) })
	}
}

func testReloadUnderLoad(t *testing.T, plane string) {
	var servers []string
	for i := range 6 {
		servers = append(servers, httpServer(t, fmt.Sprintf("server%d", i)))
	}
	f := reloadFile{listen: testenv.Unused(t), other: testenv.Unused(t), servers: servers}
	p := lab.StartPen(t, lab.Setup{Plain: true, Plane: plane, Config: f.text(0)})
	at := map[string]string{}
	for i := range rememberedThere {
		from := clientOf(i)
		at[from] = answerTo(t, f.listen, from)
	}
	where := remembered(p)

	l := lab.NewLoad(f.listen, reloadRate)
	l.Count()
	for turn := 1; turn <= reloadTurns; turn++ {
		due := l.Counted() + requestsAMidst
		p.Reload(f.text(turn))
		p.Await("requests", func() bool { return l.Counted() >= due })
		if turn%2 == 1 {
			answerTo(t, f.other, "127.0.0.1") // the service that has just come
		}
	}
	l.Stop()
	t.Log(l.Result())
	if l.Failed() > 0 {
		t.Error("requests have failed")
	}
	recent := p.Ask("service web recent 3600")
	for from, slot := range remembered(p) {
		if slot == "" || slot != where[from] {
			t.Errorf("client %s was remembered at server %s, and is at %q now", from, where[from], slot)
		}
		if !strings.Contains(recent, from+" connects 1 ") {
			t.Errorf("client %s is not among the recent ones", from)
		}
		if now := answerTo(t, f.listen, from); now != at[from] {
			t.Errorf("client %s was at %s and comes to %s", from, at[from], now)
		}
	}
}

// A reloadFile makes the configuration file of each turn.
type reloadFile struct {
	listen, other string
	servers       []string // the first four stay, the others come and go
}

// text returns the configuration file of a turn.
func (f reloadFile) text(turn int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "service web\nlisten %s\nclients_max 4096\n", f.listen)
	if turn > 0 {
		balances := []string{"leastconn", "roundrobin", "p2c", "maglev", "hash", "random", "first"}
		fmt.Fprintf(&b, "balance %s\n", balances[turn%len(balances)])
	}
	for slot, at := range f.servers {
		if slot >= 4 && turn%(slot-1) != 1 {
			continue
		}
		host, port, _ := net.SplitHostPort(at)
		fmt.Fprintf(&b, "server %d address %s port %s weight %d\n", slot, host, port, 1+(turn+slot)%4)
	}
	if turn%2 == 1 {
		host, port, _ := net.SplitHostPort(f.servers[0])
		fmt.Fprintf(&b, "service other\nlisten %s\nserver 0 address %s port %s\n", f.other, host, port)
	}
	return b.String()
}

// clientOf returns the address of the i-th client.
func clientOf(i int) string { return fmt.Sprintf("127.2.%d.%d", i/200, 1+i%200) }

var rememberedAt = regexp.MustCompile(`remembered at server (\d+)`)

// remembered returns the slot of each client's server as explain reports it, or "" for
// an unknown client.
func remembered(p *lab.Pen) map[string]string {
	out := map[string]string{}
	for i := range rememberedThere {
		from, slot := clientOf(i), ""
		if m := rememberedAt.FindStringSubmatch(p.Ask("service web explain %s", from)); m != nil {
			slot = m[1]
		}
		out[from] = slot
	}
	return out
}

// httpServer starts a server that answers one request a connection with its name, and
// returns its address.
func httpServer(t *testing.T, name string) string {
	t.Helper()
	return testenv.Serve(t, func(c testenv.Conn) {
		if _, err := http.ReadRequest(bufio.NewReaderSize(c, 512)); err == nil {
			fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n%s\n", name)
		}
	}).String()
}

// answerTo returns the name of the server that answers a client's request.
func answerTo(t *testing.T, at, from string) string {
	t.Helper()
	body, err := lab.Fetch(at, &net.TCPAddr{IP: net.ParseIP(from)})
	if err != nil {
		t.Fatalf("client %s: %v", from, err)
	}
	return body
}
