package app

import (
	"path/filepath"

	"pen/internal/config"
	"pen/internal/geoip"
)

// openCountries returns the GeoIP database that a configuration wants,
// or nil: the one in use, unless that is another file's or must be read
// again. Called within change.
func (a *App) openCountries(cfg config.Config, again bool) (*geoip.DB, error) {
	switch db := a.countries; {
	case cfg.GeoIPDB == "":
		return nil, nil
	case db != nil && db.Name() == cfg.GeoIPDB && !again:
		return db, nil
	}
	return geoip.Open(cfg.GeoIPDB)
}

// useCountries keeps the GeoIP database that a configuration has brought into use.
// Called within change.
func (a *App) useCountries(db *geoip.DB) {
	if db != nil && db != a.countries {
		a.opt.Log.Info("GeoIP database", "file", db.Name(), "built", db.Built().UTC())
	}
	a.countries = db
}

// checkCountries reads the GeoIP database where it will be once Pen runs.
func checkCountries(cfg config.Config) (*geoip.DB, error) {
	if cfg.GeoIPDB == "" {
		return nil, nil
	}
	return geoip.Open(filepath.Join(cfg.Chroot, cfg.GeoIPDB))
}
