package tlsterm

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"time"

	"pen/internal/pemfile"
)

// A maker makes identities with common settings.
type maker struct {
	suites []uint16
	alpn   []string
	oldest uint16 // protocol version
}

// An identity is a certificate together with the certificates that its clients must
// present. It is immutable but for the keys of its session tickets. A ticket is
// valid for one identity only: one issued without a client certificate must not be
// accepted where a certificate is required.
type identity struct {
	key     [sha256.Size]byte // hash of the certificate and of the client authentication
	cert    tls.Certificate   // as read: without appendChain
	config  *tls.Config
	tickets *tickets
	source  string
	stapled time.Time // when the staple expires; zero: there is none
	problem string    // for Info.Error
}

// make returns the identity of a certificate, with a staple if it is valid; nil is
// none. Tickets of old stay valid if its certificate and client authentication are
// the same.
func (m *maker) make(source string, cert tls.Certificate, staple []byte, clients *clientAuth, old *identity, now time.Time) *identity {
	id := &identity{source: source, cert: cert}
	h := sha256.New()
	h.Write(cert.Certificate[0])
	h.Write(clients.digest[:])
	h.Sum(id.key[:0])
	sent := cert
	sent.Certificate = append([][]byte(nil), cert.Certificate...)
	appendChain(&sent, clients.cas)
	sent.OCSPStaple = nil
	if staple != nil {
		der, until, err := parseStaple(staple, &sent, clients.cas, now)
		if err != nil {
			id.problem = err.Error()
		} else {
			sent.OCSPStaple, id.stapled = der, until
		}
	}
	id.config = &tls.Config{
		MinVersion:   m.oldest,
		CipherSuites: m.suites,
		NextProtos:   m.alpn,
		Certificates: []tls.Certificate{sent},
		ClientAuth:   clients.auth,
		ClientCAs:    clients.pool,
	}
	if old != nil && old.key == id.key {
		id.tickets = old.tickets
	} else {
		id.tickets = newTickets(now)
	}
	id.tickets.install(id.config)
	return id
}

func (id *identity) isRSA() bool { return id.leaf().PublicKeyAlgorithm == x509.RSA }

func (id *identity) leaf() *x509.Certificate { return id.cert.Leaf }

// expired reports whether the staple must not be sent any more.
func (id *identity) expired(now time.Time) bool {
	return !id.stapled.IsZero() && !now.Before(id.stapled)
}

// rotate replaces the keys of the tickets when they are due.
func (id *identity) rotate(now time.Time) {
	if id.tickets.rotate(now) {
		id.tickets.install(id.config)
	}
}

func (id *identity) info() Info {
	leaf := id.leaf()
	return Info{
		Names: pemfile.NamesOf(leaf), Source: id.source, NotAfter: leaf.NotAfter, Issuer: issuerName(leaf),
		Stapled: !id.stapled.IsZero(), Error: id.problem,
	}
}
