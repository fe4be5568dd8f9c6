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
	CAFile, CADir    string        // CAs of clients; "": clients are not asked for a certificate
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
	Roots   string // file with the CAs of that URL's own certificate; "" is the system's
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

// sslOptions are what ssl_option accepts. All but one say what applies anyway.
var sslOptions = []string{"no_sslv2", "no_sslv3", "no_tlsv1", "no_tlsv1.1", "no_tlsv1.2", "cipher_server_preference"}

// securing are the verbs of TLS towards clients.
func securing() []Verb {
	file := func(field func(*TLS) *string) does {
		return plain(word("FILE"), func(s *Service) *string { return field(&s.TLS) })
	}
	return []Verb{
		{
			Name: "ssl", Short: "E", Long: "ssl", Negatable: true, Level: Local, does: file(func(t *TLS) *string { return &t.Certificate }),
			Help: "PEM file with a certificate: clients speak TLS to it", Example: "ssl /etc/pen/www.pem",
			See: "ssl_certificate ssl_certificate_key ssl_sni_path acme",
		},
		{
			Name: "ssl_certificate_key", Short: "K", Long: "ssl-key", Negatable: true, Level: Local,
			does: file(func(t *TLS) *string { return &t.Key }),
			Help: "PEM file with the key, if it is not in the same one", Example: "ssl_certificate_key /etc/pen/www.key", See: "ssl",
		},
		{
			Name: "ssl_certificate", Args: "[CERT [KEY]]", NoArgs: "[CERT]", Long: "ssl-certificate", Negatable: true, Level: Local, none: "off",
			does:    on(setCertificate, saveCertificates),
			Help:    "one more certificate, chosen by the name that clients ask for",
			More:    "no ssl_certificate CERT takes it back, no ssl_certificate all of them.",
			Example: "ssl_certificate /etc/pen/mail.pem", See: "ssl ssl_sni_path",
		},
		{
			Name: "ssl_sni_path", Long: "ssl-sni-path", Negatable: true, Level: Local,
			does: plain(word("DIR"), func(s *Service) *string { return &s.TLS.SNIDir }),
			Help: "folder with NAME.crt and NAME.key for each server name", More: "And NAME.ca and NAME.ocsp where they are needed.",
			Example: "ssl_sni_path /etc/pen/certificates", See: "ssl ssl_certificate",
		},
		{
			Name: "ssl_ca_file", Short: "G", Long: "ssl-ca-file", Negatable: true, Level: Local,
			does: file(func(t *TLS) *string { return &t.CAFile }),
			Help: "PEM file with the CAs of clients, which are asked for a certificate", Example: "ssl_ca_file /etc/pen/clients.pem",
			See: "ssl_ca_path ssl_require_client",
		},
		{
			Name: "ssl_ca_path", Short: "A", Long: "ssl-ca-path", Negatable: true, Level: Local,
			does: plain(word("DIR"), func(s *Service) *string { return &s.TLS.CADir }), Help: "folder of such files",
			Example: "ssl_ca_path /etc/pen/clients", See: "ssl_ca_file",
		},
		{
			Name: "ssl_require_client", Short: "R", Long: "ssl-require-client", Negatable: true, Level: Local,
			does: plain(flag(), func(s *Service) *bool { return &s.TLS.RequireClient }),
			Help: "refuse clients without a certificate", Example: "ssl_require_client on", See: "ssl_ca_file",
		},
		{
			Name: "ssl_ciphers", Long: "ssl-ciphers", Negatable: true, Level: Admin,
			does: plain(word("CIPHERS"), func(s *Service) *string { return &s.TLS.Ciphers }),
			Help: "ciphers for TLS 1.2, as OpenSSL lists them", Example: "ssl_ciphers ECDHE+AESGCM", See: "ssl_protocol",
		},
		{
			Name: "ssl_ocsp_response", Negatable: true, Level: Local, does: file(func(t *TLS) *string { return &t.OCSP }),
			Help: "file with an OCSP response to staple, once it is verified", Example: "ssl_ocsp_response /etc/pen/www.ocsp", See: "ssl",
		},
		{
			Name: "ssl_alpn", Long: "ssl-alpn", Negatable: true, Level: Admin,
			does: plain(wordList("PROTOCOL...", parseWord), func(s *Service) *string { return &s.TLS.ALPN }),
			Help: "protocols to offer to clients, the best first", Example: "ssl_alpn h2 http/1.1",
		},
		{
			Name: "ssl_protocol", Short: "L", Long: "ssl-protocol", Negatable: true, Level: Admin,
			does: plain(choice("", protocols...), func(s *Service) *string { return &s.TLS.Protocol }),
			Help: "the oldest protocol that clients may use", More: "Older words than tls1.2 are accepted, and mean tls1.2.",
			Example: "ssl_protocol tls1.3",
		},
		{
			Name: "ssl_option", Args: strings.Join(sslOptions, "|"), Level: Admin, does: on(setSSLOption, nil),
			Help: "no_tlsv1.2 wants TLS 1.3; the others apply anyway", Example: "ssl_option no_tlsv1.2", See: "ssl_protocol",
		},
	}
}

// certifying are the verbs of certificates that Pen gets from an authority.
func certifying() []Verb {
	text := func(args string, field func(*ACME) *string) does {
		return plain(word(args), func(s *Service) *string { return field(&s.TLS.ACME) })
	}
	return []Verb{
		{
			Name: "acme", Long: "acme", Negatable: true, Level: Local,
			does: plain(wordList("NAME...", acmeName), func(s *Service) *string { return &s.TLS.ACME.Names }),
			Help: "names to get certificates for, by ACME on this port (TLS-ALPN-01)", Example: "acme www.example.com",
			See: "acme_storage acme_email",
		},
		{
			Name: "acme_storage", Long: "acme-storage", Negatable: true, Level: Local,
			does: text("DIR", func(a *ACME) *string { return &a.Storage }),
			Help: "folder for the ACME account and the certificates", Example: "acme_storage /var/lib/pen/acme", See: "acme",
		},
		{
			Name: "acme_email", Long: "acme-email", Negatable: true, Level: Local,
			does: text("ADDRESS", func(a *ACME) *string { return &a.Email }),
			Help: "address that the authority may write to", Example: "acme_email admin@example.com", See: "acme",
		},
		{
			Name: "acme_ca", Long: "acme-ca", Negatable: true, Level: Local,
			does: text("URL", func(a *ACME) *string { return &a.CA }),
			Help: "the authority's directory, if it is not Let's Encrypt", Example: "acme_ca https://ca.example.com/directory",
			See: "acme acme_ca_root",
		},
		{
			Name: "acme_ca_root", Long: "acme-ca-root", Negatable: true, Level: Local, does: text("FILE", func(a *ACME) *string { return &a.Roots }),
			Help: "PEM file with the CAs of a private authority's own certificate", Example: "acme_ca_root /etc/pen/ca.pem", See: "acme_ca",
		},
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
		lines = append(lines, strings.TrimRight(m.Cert+" "+m.Key, " "))
	}
	return lines
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
