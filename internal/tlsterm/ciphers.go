package tlsterm

import (
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
)

// A suite is one of TLS 1.2 that crypto/tls has and that is secure.
type suite struct {
	id   uint16
	name string   // OpenSSL's
	is   []string // OpenSSL's words for groups that it is in
	old  bool     // with CBC: only if it is asked for by name
}

// suites are all of them. Their order does not matter: crypto/tls has its own.
var suites = []suite{
	{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, "ECDHE-ECDSA-AES128-GCM-SHA256", words("ECDSA AES AESGCM AES128 SHA256"), false},
	{tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, "ECDHE-ECDSA-AES256-GCM-SHA384", words("ECDSA AES AESGCM AES256 SHA384"), false},
	{tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, "ECDHE-ECDSA-CHACHA20-POLY1305", words("ECDSA CHACHA20 SHA256"), false},
	{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, "ECDHE-RSA-AES128-GCM-SHA256", words("ARSA AES AESGCM AES128 SHA256"), false},
	{tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, "ECDHE-RSA-AES256-GCM-SHA384", words("ARSA AES AESGCM AES256 SHA384"), false},
	{tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256, "ECDHE-RSA-CHACHA20-POLY1305", words("ARSA CHACHA20 SHA256"), false},
	{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, "ECDHE-ECDSA-AES128-SHA", words("ECDSA AES AES128 SHA SHA1"), true},
	{tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA, "ECDHE-ECDSA-AES256-SHA", words("ECDSA AES AES256 SHA SHA1"), true},
	{tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, "ECDHE-RSA-AES128-SHA", words("ARSA AES AES128 SHA SHA1"), true},
	{tls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA, "ECDHE-RSA-AES256-SHA", words("ARSA AES AES256 SHA SHA1"), true},
}

// all are the words for groups that every suite is in.
var all = words("ALL HIGH DEFAULT COMPLEMENTOFDEFAULT ECDHE EECDH KECDHE KEECDH TLSV1.2")

// secure returns the suites that are used if nothing else is wanted.
func secure() []uint16 { return meaning("DEFAULT", false) }

func words(s string) []string { return strings.Fields(s) }

// parseCiphers returns the suites that a list of OpenSSL's means, and the words
// of it that would add something and mean nothing here. "" is all that are not
// old. "!" and "-" take suites away, the former for ever; "+" and "@", which
// are about the order, do nothing. A list that leaves nothing is an error.
func parseCiphers(list string) (ids []uint16, unknown []string, err error) {
	if list == "" {
		list = "DEFAULT"
	}
	var killed []uint16
	for word := range strings.FieldsFuncSeq(list, func(c rune) bool { return strings.ContainsRune(":, ;", c) }) {
		op := word[0]
		if op == '+' || op == '@' {
			continue
		}
		means := meaning(strings.ToUpper(strings.TrimLeft(word, "!-")), op == '!' || op == '-')
		switch {
		case op == '!':
			killed = append(killed, means...)
		case op == '-':
			ids = slices.DeleteFunc(ids, func(id uint16) bool { return slices.Contains(means, id) })
		case means == nil && !isTLS13(word):
			unknown = append(unknown, word)
		default:
			ids = append(ids, means...)
		}
	}
	ids = slices.DeleteFunc(ids, func(id uint16) bool { return slices.Contains(killed, id) })
	slices.Sort(ids)
	ids = slices.Compact(ids)
	if len(ids) == 0 {
		return nil, unknown, fmt.Errorf("ciphers %q: no secure suite for TLS 1.2 is left, want for example ECDHE-RSA-AES128-GCM-SHA256 or HIGH", list)
	}
	return ids, unknown, nil
}

// meaning returns the suites of a word in capitals: a name of OpenSSL's or
// IANA's, or groups joined by "+", which mean what is in all of them.
func meaning(word string, old bool) []uint16 {
	var ids []uint16
	for _, s := range suites {
		switch {
		case word == s.name || word == tls.CipherSuiteName(s.id):
			return []uint16{s.id}
		case s.old && !old:
		case !slices.ContainsFunc(strings.Split(word, "+"), func(w string) bool {
			w = strings.Replace(w, "AECDSA", "ECDSA", 1)
			return !slices.Contains(s.is, w) && !slices.Contains(all, w)
		}):
			ids = append(ids, s.id)
		}
	}
	return ids
}

func isTLS13(name string) bool {
	return slices.ContainsFunc(tls.CipherSuites(), func(s *tls.CipherSuite) bool {
		return s.Name == strings.ToUpper(name) && slices.Contains(s.SupportedVersions, tls.VersionTLS13)
	})
}
