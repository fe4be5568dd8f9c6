package tlsterm

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"time"
)

// A maker makes identities that have the same settings.
type maker struct {
	suites []uint16
	alpn   []string
	oldest uint16 // protocol
}

// An identity is a certificate together with what its clients have to show. It
// is not changed, except for the keys of its session tickets: a ticket is good
// for this identity and no other, so that nobody takes one from where no
// certificate is asked for to where one is.
type identity struct {
	key     [sha256.Size]byte // of the certificate and of what clients have to show
	cert    tls.Certificate   // with the staple, and without the authorities' part of its chain
	config  *tls.Config
	tickets *tickets
	source  string
	stapled time.Time // until when; zero: not at all
	problem string    // for Info.Error
}

// make makes an identity of a certificate, with a staple if there is one for
// it and it is good: nil is none. If old has the same certificate and asks the
// same of its clients, its tickets stay good.
func (m *maker) make(source string, cert tls.Certificate, staple []byte, clients *clients, old *identity, now time.Time) *identity {
	id := &identity{source: source, cert: cert}
	h := sha256.New()
	h.Write(cert.Certificate[0])
	h.Write(clients.digest[:])
	h.Sum(id.key[:0])
	sent := cert
	sent.Certificate = append([][]byte(nil), cert.Certificate...)
	chain(&sent, clients.cas)
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

// expired reports whether the staple is too old to be sent.
func (id *identity) expired(now time.Time) bool {
	return !id.stapled.IsZero() && !now.Before(id.stapled)
}

// rotate exchanges the keys of the tickets if it is time to.
func (id *identity) rotate(now time.Time) {
	if id.tickets.rotate(now) {
		id.tickets.install(id.config)
	}
}

func (id *identity) info() Info {
	leaf := id.leaf()
	return Info{
		Names: namesOf(leaf), Source: id.source, NotAfter: leaf.NotAfter, Issuer: issuerName(leaf),
		Stapled: !id.stapled.IsZero(), Error: id.problem,
	}
}
