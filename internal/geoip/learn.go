package geoip

import (
	"errors"
	"strings"

	"github.com/oschwald/maxminddb-golang/v2"
)

// separator is how many bytes there are between the search tree and the
// records.
const separator = 16

// maxDepth is how many bits the longest address has.
const maxDepth = 128

// A learner goes through a search tree, to every node once: some data bases
// have the networks of IPv4 in several places of IPv6.
type learner struct {
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

// learn returns the country of every record, by its offset, and fails for a
// damaged tree or record. The library's own Verify is not used: it refuses
// files that are readable, such as those of writers that keep strings apart
// from the records.
func learn(db *maxminddb.Reader, data []byte) (map[uintptr]string, error) {
	nodes := db.Metadata.NodeCount
	l := learner{
		db: db, data: data, nodes: nodes, bits: db.Metadata.RecordSize,
		states: make([]state, nodes), codes: map[uintptr]string{},
	}
	if nodes == 0 {
		return nil, errors.New("the search tree is empty")
	}
	return l.codes, l.node(0, 0)
}

// node goes through a node and all below it.
func (l *learner) node(n, depth uint) error {
	switch {
	case l.states[n] == left:
		return nil
	case l.states[n] == entered || depth == maxDepth:
		return errors.New("the search tree has a circle")
	}
	l.states[n] = entered
	low, high := l.pointers(n)
	if err := l.follow(low, depth); err != nil {
		return err
	}
	if err := l.follow(high, depth); err != nil {
		return err
	}
	l.states[n] = left
	return nil
}

// follow goes where a pointer of a node leads: to another node, to nothing, or
// to a record.
func (l *learner) follow(pointer, depth uint) error {
	switch {
	case pointer < l.nodes:
		return l.node(pointer, depth+1)
	case pointer == l.nodes:
		return nil
	case pointer < l.nodes+separator:
		return errors.New("the search tree points between itself and the records")
	}
	at := uintptr(pointer - l.nodes - separator)
	if _, known := l.codes[at]; known {
		return nil // most networks share their record with others
	}
	code, err := country(l.db.LookupOffset(at))
	l.codes[at] = code
	return err
}

// pointers returns the two pointers of a node, of 24, 28 or 32 bits ("Node
// Layout" in the description of the format). The library has checked that the
// tree is as long as the number of nodes says.
func (l *learner) pointers(n uint) (low, high uint) {
	size := l.bits / 4 // of both, in bytes
	b := l.data[n*size:][:size]
	low, high = number(b[:size/2]), number(b[size-size/2:])
	if l.bits == 28 { // the byte between them has the high bits of both
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

// paths are where a record may have its country, the best first: as in
// MaxMind's data bases, then as in flat ones (IPinfo, IP2Location).
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

// isCode tells a code from what else may be there: a country's name, "-".
func isCode(s string) bool {
	letter := func(b byte) bool { return 'a' <= b|0x20 && b|0x20 <= 'z' }
	return len(s) == 2 && letter(s[0]) && letter(s[1])
}
