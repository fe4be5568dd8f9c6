// Package geoip says in which country an address is, according to a data base
// in MaxMind's format (https://maxmind.github.io/MaxMind-DB/), such as
// GeoLite2-Country.mmdb.
//
// A file is read into memory as a whole, so that nothing happens to it when
// it is overwritten, and looked through once: what can be wrong with it is
// found when it is opened, and a look-up has nothing to decode.
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

// maxSize bounds a file, in bytes. Those with countries have some 10 MB, those
// with cities some 100 MB.
const maxSize = 512 << 20

// A DB is a data base. It is not changed after it was opened, is safe for
// concurrent use, and needs no closing.
type DB struct {
	name  string
	was   os.FileInfo // what the file was like when it was read
	tree  *maxminddb.Reader
	codes map[uintptr]string // of the records, by their offset
}

// Open reads a file. It blocks until all of it is read and checked, less than a
// second for a million networks. The error is one line.
func Open(name string) (*DB, error) {
	data, was, err := read(name)
	if err != nil {
		return nil, fmt.Errorf("country data base: %w", err)
	}
	db, err := parse(data)
	if err != nil {
		return nil, fmt.Errorf("country data base %s: %w", name, err)
	}
	db.name, db.was = name, was
	return db, nil
}

// Name is the name of the file.
func (db *DB) Name() string { return db.name }

// Built is when its maker made the data base.
func (db *DB) Built() time.Time { return db.tree.Metadata.BuildTime() }

// Changed reports whether the file is another one than was read, or has been
// written since, or is gone: then to open it again says why.
func (db *DB) Changed() bool {
	st, err := os.Stat(db.name)
	return err != nil || !os.SameFile(st, db.was) || st.Size() != db.was.Size() || !st.ModTime().Equal(db.was.ModTime())
}

// Country returns the country of an address, as two capital letters of ISO
// 3166-1, or "" if it is in none. It neither blocks nor allocates.
func (db *DB) Country(addr netip.Addr) string {
	if addr.Is6() && db.tree.Metadata.IPVersion == 4 {
		return "" // the library would make an error of it, each time
	}
	if r := db.tree.Lookup(addr); r.Found() {
		return db.codes[r.Offset()]
	}
	return ""
}

// read returns what is in a file, and what the file was like before it was
// read: if it is written meanwhile, Changed says so.
func read(name string) ([]byte, os.FileInfo, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a FIFO must not make us wait
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

// parse makes a DB of a file's bytes, which it keeps.
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
	codes, err := learn(tree, data)
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

// damaged quotes what the library says, which may hold bytes of the file.
func damaged(err error) error {
	return fmt.Errorf("%.200q, want an undamaged MaxMind DB file (.mmdb)", err)
}
