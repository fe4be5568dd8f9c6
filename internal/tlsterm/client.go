package tlsterm

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"

	"pen/internal/wire"
)

// ClientConfig is how to speak TLS with servers.
type ClientConfig struct {
	// Name is what a server's certificate must be for, and what it is asked
	// for by. With "" it is the name or address that the server has been given
	// by.
	Name string
	// CA is a PEM file with who signs the certificates of servers; "": whom the
	// system trusts.
	CA string
	// Cert and Key are what we show to servers that ask, see Pair.
	Cert, Key string
	// ALPN are the protocols to ask for, in order.
	ALPN []string
	// Insecure takes any certificate: whoever is between us and a server can
	// then read and change everything.
	Insecure bool
}

const (
	maxHosts    = 1024 // names of servers whose sessions are remembered
	maxSessions = 4    // of each
)

// A Client speaks TLS with servers. Its methods may be called from any
// goroutine.
type Client struct {
	cfg  ClientConfig
	name string

	mu    sync.Mutex // guards all below
	base  *tls.Config
	hosts map[string]*tls.Config
}

// NewClient reads the files; the error names one that is missing or not what it
// should be.
func NewClient(cfg ClientConfig) (*Client, error) {
	name := strings.TrimSuffix(cfg.Name, ".")
	if _, ok := wire.HostName(name); name != "" && !ok && net.ParseIP(name) == nil {
		return nil, fmt.Errorf("TLS to servers: name %q, want the name of a host", cfg.Name)
	}
	c := &Client{cfg: cfg, name: name}
	return c, c.Reload()
}

// Reload reads the files again. After an error, which names one, what was read
// before stays in force.
func (c *Client) Reload() error {
	base, err := c.cfg.read()
	if err != nil {
		return fmt.Errorf("TLS to servers: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.base, c.hosts = base, map[string]*tls.Config{}
	return nil
}

// read makes what all servers have in common.
func (cfg ClientConfig) read() (*tls.Config, error) {
	base := &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: cfg.ALPN, InsecureSkipVerify: cfg.Insecure,
		CipherSuites: secure(),
	}
	r := reading{}
	if cfg.CA != "" {
		cas, err := r.readCAs(cfg.CA)
		if err != nil {
			return nil, err
		}
		base.RootCAs = x509.NewCertPool()
		for _, ca := range cas {
			base.RootCAs.AddCert(ca)
		}
	}
	switch {
	case cfg.Cert != "":
		cert, err := r.readPair(Pair{cfg.Cert, cfg.Key})
		if err != nil {
			return nil, err
		}
		base.Certificates = []tls.Certificate{cert}
	case cfg.Key != "":
		return nil, fmt.Errorf("key %s is without a certificate, want one as well", cfg.Key)
	}
	return base, nil
}

// Handshake makes a TLS connection of a connection to a server, which is known
// by host, a name or an address. It blocks until it is made, has failed, or ctx
// is done, which closes conn. It neither sets nor clears deadlines of conn.
// Whatever comes of it, the caller closes conn.
func (c *Client) Handshake(ctx context.Context, conn net.Conn, host string) (*tls.Conn, error) {
	cfg, err := c.config(strings.TrimSuffix(host, "."))
	if err != nil {
		return nil, err
	}
	t := tls.Client(conn, cfg)
	if err := t.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	return t, nil
}

// config returns that of a server, which remembers its sessions: those of other
// servers would be of no use there, though they may have the same certificate.
func (c *Client) config(host string) (*tls.Config, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if cfg := c.hosts[host]; cfg != nil {
		return cfg, nil
	}
	cfg := c.base.Clone()
	if cfg.ServerName = c.name; c.name == "" {
		cfg.ServerName = host
	}
	if cfg.ServerName == "" && !cfg.InsecureSkipVerify {
		return nil, errors.New("TLS to a server that has no name, want one to find in its certificate")
	}
	cfg.ClientSessionCache = tls.NewLRUClientSessionCache(maxSessions)
	if len(c.hosts) >= maxHosts { // there are no more servers than that
		clear(c.hosts)
	}
	c.hosts[host] = cfg
	return cfg, nil
}
