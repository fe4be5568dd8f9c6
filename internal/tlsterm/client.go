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

	"pen/internal/pemfile"
	"pen/internal/wire"
)

// ClientConfig is how to speak TLS with servers.
type ClientConfig struct {
	// Name is the server name to send and to verify. "": the name or address in the
	// server's configuration.
	Name string
	// CA is a PEM file of the authorities of server certificates; "": the system's.
	CA string
	// Cert and Key are presented to servers that ask for a certificate, see Pair.
	Cert, Key string
	// ALPN are the protocols to ask for, in order.
	ALPN []string
	// Insecure accepts any certificate: a man in the middle can then read and
	// change everything.
	Insecure bool
}

const (
	maxHosts    = 1024 // server names with cached sessions
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

// NewClient reads the files; the error names one that is missing or damaged.
func NewClient(cfg ClientConfig) (*Client, error) {
	name := strings.TrimSuffix(cfg.Name, ".")
	if _, ok := wire.HostName(name); name != "" && !ok && net.ParseIP(name) == nil {
		return nil, fmt.Errorf("TLS to servers: name %q, want the name of a host", cfg.Name)
	}
	c := &Client{cfg: cfg, name: name}
	return c, c.Reload()
}

// Reload reads the files again. After an error, which names a file, the previous
// content stays active.
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

// read returns the configuration that all servers have in common.
func (cfg ClientConfig) read() (*tls.Config, error) {
	base := &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: cfg.ALPN, InsecureSkipVerify: cfg.Insecure,
		CipherSuites: secure(),
	}
	files := pemfile.Files{}
	if cfg.CA != "" {
		cas, err := files.ReadCAs(cfg.CA)
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
		cert, err := files.ReadPair(Pair{Cert: cfg.Cert, Key: cfg.Key})
		if err != nil {
			return nil, err
		}
		base.Certificates = []tls.Certificate{cert}
	case cfg.Key != "":
		return nil, fmt.Errorf("key %s has no certificate, want one as well", cfg.Key)
	}
	return base, nil
}

// Handshake establishes TLS on a connection to a server; host is its name or
// address. It blocks until that has succeeded or failed, or ctx is done, which
// closes conn. It does not touch the deadlines of conn. The caller closes conn in
// every case.
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

// config returns the configuration for a server, with its own session cache:
// sessions of other servers are useless there, even with the same certificate.
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
		return nil, errors.New("TLS to a server without a name, want one to verify its certificate")
	}
	cfg.ClientSessionCache = tls.NewLRUClientSessionCache(maxSessions)
	if len(c.hosts) >= maxHosts { // more than a service has servers: names have changed
		clear(c.hosts)
	}
	c.hosts[host] = cfg
	return cfg, nil
}
