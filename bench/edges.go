//go:build linux

package main

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// The loads of E are what is done at the ends of connections, beside HAProxy's.
// There is no direct way: the backend speaks no TLS.

// haproxyEdge is HAProxy where it has just one setting.
const haproxyEdge = "HAProxy"

// handshakers is how many connections at a time make handshakes.
const handshakers = 16

// edgeLoads are the loads of E.
func edgeLoads(o options) []load {
	passes := o.fewer()
	var all []load
	for _, key := range []string{"ECDSA P-256", "RSA 2048"} {
		all = append(all, handshakeLoad(o, passes, key, "full"))
	}
	all = append(all, handshakeLoad(o, passes, "ECDSA P-256", "resumed"))
	for _, way := range []string{"up", "down"} {
		l := bulkLoad(o, p1, passes, way+"-tls")
		l.key, l.name, l.label = "E", "E bulk through TLS, "+wayName(way), "E TLS "+way
		l.about = "As L3, but the client speaks TLS 1.3 with AES-128-GCM and the backend does not."
		l.contenders = tlsContenders(o, "ECDSA P-256")
		all = append(all, l)
	}
	requests := wrkLoad(o, p1, passes, mainConns, keepAlive)
	requests.key, requests.name, requests.label = "E", "E keep-alive requests with X-Forwarded-For, 64 at a time", "E http"
	requests.about += " Each request is understood, and gets the header: Pen with `-H`, HAProxy in http mode with `option forwardfor`."
	requests.contenders = rivals(o, contender{
		name: haproxyEdge, command: haproxyAs("mode http", "option forwardfor\n    option http-keep-alive", "", ""),
	}, func(pen string) func(spot) ([]string, error) { return penWith(pen, "-H") })
	all = append(all, requests)
	for _, way := range []string{"up", "down"} {
		l := bulkLoad(o, p1, passes, way)
		l.key, l.name, l.label = "E", "E bulk behind a PROXY header, "+wayName(way), "E PROXY "+way
		l.about = "As L3, with and without a header of version 2 before the bytes."
		if l.contenders = []contender{
			{name: "HAProxy, send-proxy-v2", command: haproxyAs("mode tcp", "option splice-request\n    option splice-response", "", "send-proxy-v2")},
			{name: "Pen, send_proxy v2", own: true, command: penWith(o.pen, "--send-proxy", "v2")},
			{name: "Pen, plane stream without a header", own: true, command: penWith(o.pen, "--plane", "stream")},
		}; o.before != "" {
			l.contenders = rivals(o, contender{}, func(pen string) func(spot) ([]string, error) { return penWith(pen, "--send-proxy", "v2") })
		}
		all = append(all, l)
	}
	for i := range all {
		all[i].forCore()
	}
	return all
}

func wayName(way string) string {
	return map[string]string{"up": "client to backend", "down": "backend to client"}[way]
}

// forCore has a load of timed show, in the place of the machine's cost, what the
// proxy's core would do if it were the limit: here the client costs more than the
// proxy, and mostly is.
func (l *load) forCore() {
	rate := l.metrics[0]
	rate.alone, rate.chart = true, noChart
	cost := rate
	cost.name = strings.TrimSuffix(rate.name, "/s") + " for each second of the proxy's core"
	l.metrics = []metric{rate, cost, l.metrics[2]}
	measure := l.measure
	l.measure = func(ctx context.Context, t *target) (sample, error) {
		s, err := measure(ctx, t)
		if err == nil {
			s.values[1] = 100 * s.values[0] / max(s.values[2], 1)
		}
		return s, err
	}
}

// handshakeLoad is connections with a TLS handshake and one byte each way.
func handshakeLoad(o options, passes int, key, kind string) load {
	measure := func(ctx context.Context, t *target, length time.Duration) (work, error) {
		args, err := self("handshakes", kind, strconv.Itoa(handshakers), strconv.FormatFloat(length.Seconds(), 'g', -1, 64), t.addr)
		if err != nil {
			return work{}, err
		}
		out, err := output(ctx, p1.loadCore(), args...)
		if err != nil {
			return work{}, err
		}
		var w work
		_, err = fmt.Sscan(out, &w.units, &w.seconds)
		return w, err
	}
	return load{
		key: "E", name: fmt.Sprintf("E TLS handshakes, %s, %s", kind, key), label: "E " + kind + " " + key, place: p1, passes: passes,
		about:   fmt.Sprintf("New connections, %d at a time, with a TLS 1.3 handshake (X25519, AES-128-GCM) and an answer of one byte.", handshakers),
		metrics: timedMetrics(p1, "connections/s", "us/connection", 0), contenders: tlsContenders(o, key),
		warm: func(ctx context.Context, t *target) error {
			_, err := measure(ctx, t, min(o.length, time.Second))
			return err
		},
		measure: func(ctx context.Context, t *target) (sample, error) {
			return timed(p1, 1e6, func() (work, error) { return measure(ctx, t, o.length) })
		},
	}
}

// tlsContenders end TLS with a certificate of a kind.
func tlsContenders(o options, key string) []contender {
	with := func(command func(file string) func(spot) ([]string, error)) func(spot) ([]string, error) {
		return func(s spot) ([]string, error) {
			file, err := certificate(s.dir, key)
			if err != nil {
				return nil, err
			}
			return command(file)(s)
		}
	}
	return rivals(o, contender{name: haproxyEdge, command: with(func(file string) func(spot) ([]string, error) {
		return haproxyAs("mode tcp", "", "ssl crt "+file, "")
	})}, func(pen string) func(spot) ([]string, error) {
		return with(func(file string) func(spot) ([]string, error) { return penWith(pen, "-E", file) })
	})
}

// rivals are another program, or an earlier build of ours, and this build.
func rivals(o options, other contender, command func(pen string) func(spot) ([]string, error)) []contender {
	if o.before != "" {
		other = contender{name: earlier, command: command(o.before)}
	}
	return []contender{other, {name: ours, own: true, command: command(o.pen)}}
}

// penWith returns the command of our binary with some options.
func penWith(binary string, options ...string) func(spot) ([]string, error) {
	return func(s spot) ([]string, error) {
		args := append([]string{binary, "-f", "-x", strconv.Itoa(s.limit)}, options...)
		return append(args, loopback(s.listen), loopback(s.backend)), nil
	}
}

// haproxyAs returns the command of HAProxy with some more words.
func haproxyAs(mode, lines, bind, server string) func(spot) ([]string, error) {
	plain := haproxy(lines)
	return func(s spot) ([]string, error) {
		args, err := plain(s)
		if err != nil {
			return nil, err
		}
		file := args[len(args)-1]
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		changed := strings.NewReplacer(
			"mode tcp", mode,
			"bind "+loopback(s.listen), "bind "+loopback(s.listen)+" "+bind,
			"server backend "+loopback(s.backend), "server backend "+loopback(s.backend)+" "+server,
		).Replace(string(text))
		return args, os.WriteFile(file, []byte(changed), 0o644)
	}
}

// certificate makes a certificate with its key, once, and returns the file.
func certificate(dir, kind string) (string, error) {
	file := filepath.Join(dir, strings.ReplaceAll(kind, " ", "-")+".pem")
	if _, err := os.Stat(file); err == nil {
		return file, nil
	}
	var key crypto.Signer
	var err error
	if kind == "RSA 2048" {
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	} else {
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	if err != nil {
		return "", err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "bench"}, DNSNames: []string{"bench"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return "", err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", err
	}
	text := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})...)
	// Several contenders may make it at a time.
	part := fmt.Sprintf("%s.%d", file, time.Now().UnixNano())
	if err := os.WriteFile(part, text, 0o600); err != nil {
		return "", err
	}
	return file, os.Rename(part, file)
}
