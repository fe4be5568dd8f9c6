package geoip

import (
	"errors"
	"strings"

	"github.com/oschwald/maxminddb-golang/v2"
)

// separator is the number of bytes between the search tree and the records.
const separator = 16

// maxDepth is the number of bits of the longest address.
const maxDepth = 128

// A walk visits every node of a search tree once: some databases have the networks of IPv4
// at several places of IPv6.
type walk struct {
	db          *maxminddb.Reader
	data        []byte
	nodes, bits uint
	states      []state // of the nodes
	codes       map[uintptr]string
}

type state uint8

const (
	unseen state = iota
	entered
	left
)

// countryCodes returns the country of every record, by the record's offset, or an error if the
// tree or a record is damaged. The library's Verify is too strict: it refuses readable
// files, such as those of writers that keep strings apart from the records.
func countryCodes(db *maxminddb.Reader, data []byte) (map[uintptr]string, error) {
	nodes := db.Metadata.NodeCount
	w := walk{
		db: db, data: data, nodes: nodes, bits: db.Metadata.RecordSize,
		states: make([]state, nodes), codes: map[uintptr]string{},
	}
	if nodes == 0 {
		return nil, errors.New("the search tree is empty")
	}
	return w.codes, w.node(0, 0)
}

// node visits a node and all nodes below it.
func (w *walk) node(n, depth uint) error {
	switch {
	case w.states[n] == left:
		return nil
	case w.states[n] == entered || depth == maxDepth:
		return errors.New("the search tree has a circle")
	}
	w.states[n] = entered
	low, high := w.pointers(n)
	if err := w.follow(low, depth); err != nil {
		return err
	}
	if err := w.follow(high, depth); err != nil {
		return err
	}
	w.states[n] = left
	return nil
}

// follow follows a pointer of a node: to another node, to nothing, or to a record.
func (w *walk) follow(pointer, depth uint) error {
	switch {
	case pointer < w.nodes:
		return w.node(pointer, depth+1)
	case pointer == w.nodes:
		return nil
	case pointer < w.nodes+separator:
		return errors.New("the search tree points between itself and the records")
	}
	at := uintptr(pointer - w.nodes - separator)
	if _, known := w.codes[at]; known {
		return nil // most networks share a record with others
	}
	code, err := country(w.db.LookupOffset(at))
	w.codes[at] = code
	return err
}

// pointers returns the two pointers of a node, of 24, 28 or 32 bits ("Node Layout" in the
// description of the format). The library has checked the length of the tree.
func (w *walk) pointers(n uint) (low, high uint) {
	size := w.bits / 4 // of both, in bytes
	b := w.data[n*size:][:size]
	low, high = number(b[:size/2]), number(b[size-size/2:])
	if w.bits == 28 { // the byte between them has the high bits of both
		low, high = low|uint(b[3]>>4)<<24, high|uint(b[3]&0x0f)<<24
	}
	return low, high
}

func number(bigEndian []byte) (n uint) {
	for _, b := range bigEndian {
		n = n<<8 | uint(b)
	}
	return n
}

// paths are where a record may have its country, the best first: as in MaxMind's databases,
// then as in flat ones (IPinfo, IP2Location).
var paths = [][]any{{"country", "iso_code"}, {"registered_country", "iso_code"}, {"country_code"}, {"country"}}

// country returns the country of a record, or "" if it has none. An error
// means that the record is damaged.
func country(record maxminddb.Result) (string, error) {
	for _, path := range paths {
		var code string
		err := record.DecodePath(&code, path...)
		if errors.As(err, new(maxminddb.InvalidDatabaseError)) {
			return "", err
		}
		if err == nil && isCode(code) {
			return strings.ToUpper(code), nil
		}
	}
	return "", nil
}

// isCode reports whether a text is a code, not a country's name or "-".
func isCode(s string) bool {
	letter := func(b byte) bool { return 'a' <= b|0x20 && b|0x20 <= 'z' }
	return len(s) == 2 && letter(s[0]) && letter(s[1])
}
