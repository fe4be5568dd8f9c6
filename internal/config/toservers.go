package config

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"pen/internal/wire"
)

// ServerTLS is TLS towards servers.
type ServerTLS struct {
	On       bool
	Name     string // what their certificates must be for; "": what each is called
	CA       string // PEM file with their CAs; "": those that the system trusts
	Cert     string // PEM file, for servers that want one of us
	Key      string // its key; "": in the same file
	ALPN     string // words
	NoVerify bool
}

// SendProxy is the PROXY header towards servers.
type SendProxy struct {
	Version int       // 0: none
	Each    bool      // with every datagram, not only the first of a flow
	TLVs    wire.TLVs // in version 2
}

// proxyKeys are the keys of the send_proxy verb. What TLVs there are is saved by tlvs.
var proxyKeys = []key[SendProxy]{
	keyOf("each", flag(), func(p *SendProxy) *bool { return &p.Each }),
	{
		name: "tlvs", args: "FIELDS", get: func(p *SendProxy) string { return writeTLVs(p.TLVs) },
		set: func(p *SendProxy, text string) error { return parseTLVs(&p.TLVs, text) },
	},
	{
		name: "max", args: "BYTES", get: func(p *SendProxy) string { return orEmpty(p.TLVs.Most) },
		set: func(p *SendProxy, text string) error {
			most, err := strconv.Atoi(text)
			if err != nil || most < wire.LeastTLVs || most > wire.MaxHeader {
				return fmt.Errorf("max %q: want %d to %d bytes", text, wire.LeastTLVs, wire.MaxHeader)
			}
			p.TLVs.Most = most
			return nil
		},
	},
	{
		name: "unique_id", get: func(*SendProxy) string { return "" },
		set: func(p *SendProxy, _ string) error {
			p.TLVs.UniqueID = true
			return nil
		},
	},
}

func setSendProxy(s *Service, no bool, args []string) error {
	var next SendProxy
	if !no {
		if next.Version = slices.Index([]string{"off", "v1", "v2"}, args[0]); next.Version < 0 {
			return noneOf(args[0], "v1", "v2", "off")
		}
		for i, word := range args {
			args[i] = strings.ReplaceAll(word, "unique-id", "unique_id") // as HAProxy writes it
		}
		if err := setKeys(proxyKeys, &next, args[1:]); err != nil {
			return err
		}
	}
	if next.Version == 1 && next.TLVs != (wire.TLVs{}) {
		return errors.New("a header of version 1 has no TLVs, want v2")
	}
	s.SendProxy = next
	return nil
}

// tlvFields are the words of TLVs with the fields that they set.
func tlvFields(t *wire.TLVs) []struct {
	word string
	on   *bool
} {
	return []struct {
		word string
		on   *bool
	}{{"authority", &t.Authority}, {"alpn", &t.ALPN}, {"unique_id", &t.UniqueID}, {"ssl", &t.TLS}, {"crc32c", &t.CRC32C}}
}

// parseTLVs understands a list such as authority,alpn.
func parseTLVs(t *wire.TLVs, list string) error {
	for word := range strings.SplitSeq(list, ",") {
		known := false
		for _, f := range tlvFields(t) {
			if f.word == strings.ReplaceAll(word, "-", "_") { // as HAProxy writes it, too
				*f.on, known = true, true
			}
		}
		if !known {
			return fmt.Errorf("%q is none of the TLVs authority, alpn, unique_id, ssl, crc32c", word)
		}
	}
	return nil
}

// writeTLVs is the reverse of parseTLVs.
func writeTLVs(t wire.TLVs) string {
	var out []string
	for _, f := range tlvFields(&t) {
		if *f.on {
			out = append(out, f.word)
		}
	}
	return strings.Join(out, ",")
}

func saveSendProxy(s *Service) []string {
	if s.SendProxy.Version == 0 {
		return nil
	}
	return words(strings.TrimSpace(fmt.Sprintf("v%d %s", s.SendProxy.Version, keyWords(proxyKeys, &s.SendProxy))))
}

// tlsKeys are the keys of the tls verb.
var tlsKeys = []key[ServerTLS]{
	keyOf("name", word("NAME"), func(t *ServerTLS) *string { return &t.Name }),
	keyOf("ca", word("FILE"), func(t *ServerTLS) *string { return &t.CA }),
	keyOf("cert", word("FILE"), func(t *ServerTLS) *string { return &t.Cert }),
	keyOf("key", word("FILE"), func(t *ServerTLS) *string { return &t.Key }),
	keyOf("alpn", word("PROTOCOL"), func(t *ServerTLS) *string { return &t.ALPN }),
	keyOf("noverify", flag(), func(t *ServerTLS) *bool { return &t.NoVerify }),
}

func setServerTLS(s *Service, no bool, args []string) error {
	var next ServerTLS
	switch {
	case no || args[0] == "off":
		s.ServerTLS = next
		return nil
	case args[0] != "on":
		return noneOf(args[0], "on", "off")
	}
	next.On = true
	if err := setKeys(tlsKeys, &next, args[1:]); err != nil {
		return err
	}
	if next.Key != "" && next.Cert == "" {
		return errors.New("key: there is no certificate for it, want cert FILE as well")
	}
	s.ServerTLS = next
	return nil
}

func saveServerTLS(s *Service) []string {
	if !s.ServerTLS.On {
		return nil
	}
	return words(strings.TrimRight("on "+keyWords(tlsKeys, &s.ServerTLS), " "))
}
