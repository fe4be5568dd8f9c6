package build

import (
	"bytes"
	"encoding/hex"
	"net/netip"
)

const (
	// dumpLevel is the level of detail from which all communication is logged.
	dumpLevel = 3
	// maxDump is how many bytes of a piece are shown.
	maxDump = 512
)

// dump returns the policy's Dump: it logs what clients and servers say, in
// hexadecimal or as text.
func (b *Builder) dump(ascii bool) func(client netip.Addr, server string, fromClient bool, chunk []byte) {
	return func(client netip.Addr, server string, fromClient bool, chunk []byte) {
		way := "from server"
		if fromClient {
			way = "from client"
		}
		show := hex.EncodeToString
		if ascii {
			show = printable
		}
		b.opt.Log.Debug(way, "client", client, "server", server, "bytes", len(chunk), "data", show(chunk[:min(len(chunk), maxDump)]))
	}
}

// printable has a dot for each byte that does not print.
func printable(b []byte) string {
	out := bytes.Clone(b)
	for i, c := range out {
		if c < ' ' || c > '~' {
			out[i] = '.'
		}
	}
	return string(out)
}
