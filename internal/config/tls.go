package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// maxCertificates bounds what a slip of the finger costs.
const maxCertificates = 1000

// TLS is how the TLS of clients ends here; the zero TLS is not at all.
type TLS struct {
	Certificate, Key string        // C Pen's: PEM files; "" is none, or that the key is in the same file
	More             []Certificate // chosen by the name that a client asks for; replaced, never changed
	SNIDir           string        // has NAME.crt, NAME.key, NAME.ca and NAME.ocsp
	CAFile, CADir    string        // who signs certificates of clients; "": they are not asked for one
	RequireClient    bool          // clients must have one
	Ciphers          string        // OpenSSL's list; "" is what is good
	ALPN             string        // words
	OCSP             string        // file with a response for Certificate
	Protocol         string        // the oldest that is wanted, as it was said
	ACME             ACME
}

// A Certificate is a pair of PEM files; without a Key it is in the same file.
type Certificate struct{ Cert, Key string }

// ACME is how certificates are got from an authority (RFC 8555).
type ACME struct {
	Names   string // words; "": none
	Storage string // folder
	Email   string // for the authority; may be empty
	CA      string // URL of its directory; "" is Let's Encrypt
	Roots   string // file with who signs that URL's own certificate; "" is the system's
}

// On reports whether TLS ends here.
func (t TLS) On() bool {
	return t.Certificate != "" || len(t.More) > 0 || t.SNIDir != "" || t.ACME.Names != ""
}

// Pairs are all certificates in files, the default one first.
func (t TLS) Pairs() []Certificate {
	if t.Certificate == "" {
		return t.More
	}
	return append([]Certificate{{t.Certificate, t.Key}}, t.More...)
}

// Obsolete reports whether a protocol was asked for that is not spoken any more.
func (t TLS) Obsolete() bool {
	return t.Protocol != "" && t.Protocol != "tls1.2" && t.Protocol != "tls1.3"
}

// check reports what does not go together.
func (t TLS) check() error {
	switch {
	case t.RequireClient && !t.On():
		return errors.New("ssl_require_client: there is no certificate for TLS, want ssl FILE as well")
	case t.RequireClient && t.CAFile == "" && t.CADir == "" && t.SNIDir == "":
		return errors.New("ssl_require_client: nobody is trusted to sign certificates of clients, want ssl_ca_file FILE or ssl_ca_path DIR as well")
	case t.OCSP != "" && t.Certificate == "" && len(t.More) == 0:
		return errors.New("ssl_ocsp_response: there is no certificate that it is for, want ssl FILE as well")
	case t.Key != "" && t.Certificate == "":
		return errors.New("ssl_certificate_key: there is no certificate for it, want ssl FILE as well")
	case t.ACME.Names != "" && t.ACME.Storage == "":
		return errors.New("acme: there is no folder for the certificates, want acme_storage DIR as well")
	}
	return nil
}

// protocols are what ssl_protocol and -L accept: C Pen's words, and newer ones.
var protocols = []string{"ssl2", "ssl23", "ssl3", "tls1", "tls1.1", "tls1.2", "tls1.3"}

// sslOptions are what ssl_option accepts. All but one say what holds anyway.
var sslOptions = []string{"no_sslv2", "no_sslv3", "no_tlsv1", "no_tlsv1.1", "no_tlsv1.2", "cipher_server_preference"}

// securing are the verbs of TLS towards clients.
func securing() []Verb {
	file := func(name, short, long, help string, field func(*TLS) *string) Verb {
		return text(name, "FILE", short, long, help, func(s *Service) *string { return field(&s.TLS) })
	}
	return []Verb{
		file("ssl", "E", "ssl", "PEM file with a certificate: clients speak TLS to it", func(t *TLS) *string { return &t.Certificate }),
		file("ssl_certificate_key", "K", "ssl-key", "PEM file with the key, if it is not in the same one", func(t *TLS) *string { return &t.Key }),
		file("ssl_ca_file", "G", "ssl-ca-file", "PEM file with who signs certificates of clients, which are asked for one then", func(t *TLS) *string { return &t.CAFile }),
		text("ssl_ca_path", "DIR", "A", "ssl-ca-path", "folder of such files", func(s *Service) *string { return &s.TLS.CADir }),
		boolean("ssl_require_client", "R", "ssl-require-client", "refuse clients without a certificate", func(s *Service) *bool { return &s.TLS.RequireClient }),
		text("ssl_ciphers", "LIST", "", "ssl-ciphers", "OpenSSL's list of ciphers for TLS 1.2", func(s *Service) *string { return &s.TLS.Ciphers }),
		file("ssl_ocsp_response", "", "", "file with an OCSP response to staple to the certificate, once it is verified", func(t *TLS) *string { return &t.OCSP }),
		text("ssl_sni_path", "DIR", "", "ssl-sni-path", "folder with NAME.crt and NAME.key, and NAME.ca and NAME.ocsp if need be, for each server name", func(s *Service) *string { return &s.TLS.SNIDir }),
		asked(row(Verb{
			Name: "ssl_certificate", Args: "CERT [KEY]", Long: "ssl-certificate", several: true, Negatable: true, most: 2, mostNo: 1, Help: "one more certificate, chosen by the name that clients ask for; no ssl_certificate [CERT] takes it back",
		}, on[Service]{
			set: setCertificate, save: saveCertificates,
		})),
		wordList("ssl_alpn", "PROTOCOL...", "ssl-alpn", "protocols to offer to clients, the best first", parseWord, func(s *Service) *string { return &s.TLS.ALPN }),
		row(Verb{
			Name: "ssl_protocol", Args: "[PROTOCOL]", Short: "L", Long: "ssl-protocol", Negatable: true, most: 1, Help: "the oldest protocol: tls1.2 or tls1.3; older words are accepted, and mean tls1.2",
		}, on[Service]{
			set: setProtocolVersion, show: func(s *Service) string { return s.TLS.Protocol }, save: saveText("ssl_protocol", func(s *Service) *string { return &s.TLS.Protocol }),
		}),
		row(Verb{
			Name: "ssl_option", Args: strings.Join(sslOptions, "|"), most: 1, Help: "no_tlsv1.2 wants TLS 1.3; the others hold anyway",
		}, on[Service]{
			set: setSSLOption,
		}),
		row(Verb{
			Name: "ssl_client_renegotiation_interval", Args: "SECONDS", most: 1, Unused: true, Help: "accepted, without effect: clients can't renegotiate",
		}, on[Service]{
			set: func(_ *Service, _ bool, args []string) error {
				_, err := ParseDuration(args[0])
				return err
			},
		}),
		wordList("acme", "NAME...", "acme", "names to get certificates for, by ACME on this port (TLS-ALPN-01)", acmeName, func(s *Service) *string { return &s.TLS.ACME.Names }),
		text("acme_storage", "DIR", "", "acme-storage", "folder for the account and the certificates", func(s *Service) *string { return &s.TLS.ACME.Storage }),
		text("acme_email", "ADDRESS", "", "acme-email", "where the authority may write to", func(s *Service) *string { return &s.TLS.ACME.Email }),
		text("acme_ca", "URL", "", "acme-ca", "the authority's directory, if it is not Let's Encrypt", func(s *Service) *string { return &s.TLS.ACME.CA }),
		file("acme_ca_root", "", "acme-ca-root", "PEM file with who signs the authority's own certificate, if it is a private one", func(t *TLS) *string { return &t.ACME.Roots }),
	}
}

func setCertificate(s *Service, no bool, args []string) error {
	if no {
		s.TLS.More = slices.DeleteFunc(slices.Clone(s.TLS.More), func(m Certificate) bool { return len(args) == 0 || m.Cert == args[0] })
		if len(s.TLS.More) == 0 {
			s.TLS.More = nil
		}
		return nil
	}
	next := Certificate{Cert: args[0]}
	if len(args) > 1 {
		next.Key = args[1]
	}
	for _, word := range args[:min(len(args), 2)] {
		if err := parseWord(word); err != nil {
			return err
		}
	}
	all := slices.Clone(s.TLS.More)
	if i := slices.IndexFunc(all, func(m Certificate) bool { return m.Cert == next.Cert }); i >= 0 {
		all[i] = next
	} else if len(all) == maxCertificates {
		return fmt.Errorf("there are %d already, want no more; ssl_sni_path is for many", maxCertificates)
	} else {
		all = append(all, next)
	}
	s.TLS.More = all
	return nil
}

func saveCertificates(s *Service) []string {
	var lines []string
	for _, m := range s.TLS.More {
		lines = append(lines, strings.TrimRight("ssl_certificate "+m.Cert+" "+m.Key, " "))
	}
	if lines == nil {
		return []string{"no ssl_certificate"}
	}
	return lines
}

func setProtocolVersion(s *Service, no bool, args []string) error {
	if no {
		s.TLS.Protocol = ""
		return nil
	}
	if !slices.Contains(protocols, args[0]) {
		return noneOf(args[0], protocols...)
	}
	s.TLS.Protocol = args[0]
	return nil
}

func setSSLOption(s *Service, _ bool, args []string) error {
	if !slices.Contains(sslOptions, args[0]) {
		return noneOf(args[0], sslOptions...)
	}
	if args[0] == "no_tlsv1.2" {
		s.TLS.Protocol = "tls1.3"
	}
	return nil
}

// acmeName checks a name that a certificate can be got for.
func acmeName(word string) error {
	if !isName(word) || !strings.Contains(word, ".") || strings.Contains(word, "_") {
		return fmt.Errorf("%q is not the name of a host, want such as www.example.com, without a wildcard", word)
	}
	return nil
}
