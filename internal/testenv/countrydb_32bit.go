//go:build 386 || arm

package testenv

import "errors"

// CountryDB fails: mmdbwriter, which builds the database, needs a 64-bit int.
func CountryDB(...string) ([]byte, error) {
	return nil, errors.New("a GeoIP database for tests can only be built on a 64-bit system")
}
