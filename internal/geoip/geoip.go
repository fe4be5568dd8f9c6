// Package geoip looks up the country of an address in a GeoIP database, a file in MaxMind's
// format (https://maxmind.github.io/MaxMind-DB/) such as GeoLite2-Country.mmdb.
//
// It reads the whole file into memory, so overwriting the file does no harm, and checks and
// decodes all of it when it is opened, so a look-up has nothing to decode.
package geoip

import (
	"fmt"
	"io"
	"net/netip"
	"os"
	"syscall"
	"time"

	"github.com/oschwald/maxminddb-golang/v2"
)

// maxSize bounds a file, in bytes. Databases of countries have some 10 MB, databases of
// cities some 100 MB.
const maxSize = 512 << 20

// A DB is a GeoIP database. It is immutable, safe for concurrent use, and needs no closing.
type DB struct {
	name  string
	was   os.FileInfo // of the file when it was read
	tree  *maxminddb.Reader
	codes map[uintptr]string // of the records, by their offset
}

// Open reads a file. It blocks until all of the file is read and checked, less than a second
// for a million networks. The error is one line.
func Open(name string) (*DB, error) {
	data, was, err := read(name)
	if err != nil {
		return nil, fmt.Errorf("GeoIP database: %w", err)
	}
	db, err := parse(data)
	if err != nil {
		return nil, fmt.Errorf("GeoIP database %s: %w", name, err)
	}
	db.name, db.was = name, was
	return db, nil
}

// Name is the name of the file.
func (db *DB) Name() string { return db.name }

// Built is when the database was made.
func (db *DB) Built() time.Time { return db.tree.Metadata.BuildTime() }

// Changed reports whether the file has been replaced or written since it was read, or can't
// be found: then opening it again returns the reason.
func (db *DB) Changed() bool {
	st, err := os.Stat(db.name)
	return err != nil || !os.SameFile(st, db.was) || st.Size() != db.was.Size() || !st.ModTime().Equal(db.was.ModTime())
}

// Country returns the country of an address, as two capital letters of ISO 3166-1, or "" if
// it has none. It neither blocks nor allocates.
func (db *DB) Country(addr netip.Addr) string {
	if addr.Is6() && db.tree.Metadata.IPVersion == 4 {
		return "" // the library would create an error each time
	}
	if r := db.tree.Lookup(addr); r.Found() {
		return db.codes[r.Offset()]
	}
	return ""
}

// read returns the contents of a file, and its state before it was read: if it is written
// meanwhile, Changed reports it.
func read(name string) ([]byte, os.FileInfo, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0) // do not wait at a FIFO
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	switch {
	case err != nil:
		return nil, nil, err
	case !st.Mode().IsRegular():
		return nil, nil, fmt.Errorf("%s is not a regular file, want a MaxMind DB file (.mmdb)", name)
	case st.Size() > maxSize:
		return nil, nil, fmt.Errorf("%s has %d bytes, want at most %d", name, st.Size(), maxSize)
	}
	data := make([]byte, st.Size())
	if _, err := io.ReadFull(f, data); err != nil {
		return nil, nil, fmt.Errorf("read %s, which should not become shorter meanwhile: %w", name, err)
	}
	return data, st, nil
}

// parse makes a DB from the contents of a file, which it keeps.
func parse(data []byte) (*DB, error) {
	tree, err := maxminddb.OpenBytes(data)
	if err != nil {
		return nil, damaged(err)
	}
	if v := tree.Metadata.IPVersion; v != 4 && v != 6 {
		return nil, fmt.Errorf("it is for IP version %d, want 4 or 6", v)
	}
	if b := tree.Metadata.RecordSize; b != 24 && b != 28 && b != 32 {
		return nil, fmt.Errorf("its pointers have %d bits, want 24, 28 or 32", b)
	}
	codes, err := countryCodes(tree, data)
	if err != nil {
		return nil, damaged(err)
	}
	for _, code := range codes {
		if code != "" {
			return &DB{tree: tree, codes: codes}, nil
		}
	}
	return nil, fmt.Errorf("nothing in it has a country (its type is %.50q), want one with countries, such as GeoLite2-Country", tree.Metadata.DatabaseType)
}

// damaged quotes the library's error, which may contain bytes of the file.
func damaged(err error) error {
	return fmt.Errorf("%.200q, want an undamaged MaxMind DB file (.mmdb)", err)
}
