//go:build !386 && !arm

package testenv

import (
	"bytes"
	"fmt"
	"net"
	"strings"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"
)

// CountryDB returns a GeoIP database in MaxMind's format with the country of
// each network, given as "127.0.0.0/8 SE". Where networks overlap, the last one
// counts. It needs a 64-bit system, because mmdbwriter does.
func CountryDB(lines ...string) ([]byte, error) {
	tree, err := mmdbwriter.New(mmdbwriter.Options{
		DatabaseType: "Test-Country", Description: map[string]string{"en": "for tests"}, RecordSize: 24,
		IncludeReservedNetworks: true, BuildEpoch: 1,
	})
	if err != nil {
		return nil, err
	}
	for _, line := range lines {
		network, code, ok := strings.Cut(line, " ")
		_, ipNet, err := net.ParseCIDR(network)
		if err != nil || !ok {
			return nil, fmt.Errorf("%q: want a network and its country", line)
		}
		record := mmdbtype.Map{"country": mmdbtype.Map{"iso_code": mmdbtype.String(code)}}
		if err := tree.Insert(ipNet, record); err != nil {
			return nil, err
		}
	}
	var b bytes.Buffer
	_, err = tree.WriteTo(&b)
	return b.Bytes(), err
}
