package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"pen/internal/accesslog"
	"pen/internal/build"
	"pen/internal/config"
	"pen/internal/names"
	"pen/internal/process"
)

// Check reports all that would keep a configuration from being used, short of
// binding its addresses, which a running Pen may have: each error is one line. It
// looks up names, and reads certificates and the GeoIP database. What the
// user who checks may not do, but root may, is not reported, except for files.
// The warnings are what Pen would start without, such as a name that is not known.
func Check(cfg config.Config) (warnings []string, err error) {
	log := slog.New(slog.DiscardHandler)
	b := build.New(build.Options{Log: log, Names: names.New(names.Options{})})
	var errs []error
	if !cfg.Listens() {
		errs = append(errs, config.ErrNoListener)
	}
	errs = append(errs, build.Conflicts(cfg))
	if _, err := controlTokens(cfg); err != nil {
		errs = append(errs, err)
	}
	db, err := checkCountries(cfg)
	var built *build.Built
	if err == nil {
		built, err = b.Build(context.Background(), cfg, db, func(string, string) net.Addr { return nil })
	}
	if err == nil {
		_, tooMany := new(App).loopsEach(cfg, endsOf(cfg, built, nil))
		warnings, err = built.Warnings(cfg), errors.Join(tooMany, built.Itself)
	}
	return warnings, errors.Join(append(errs, err, checkHosts(cfg), checkPlaces(cfg))...)
}

// hostTime is how long the names of listeners are looked up.
const hostTime = 5 * time.Second

// checkHosts looks up the names in addresses to listen on and to log to.
func checkHosts(cfg config.Config) error {
	ctx, cancel := context.WithTimeout(context.Background(), hostTime)
	defer cancel()
	var errs []error
	if cfg.Log != "" && accesslog.IsNetwork(cfg.Log) {
		c, err := new(net.Dialer).DialContext(ctx, "udp", cfg.Log) // sends nothing
		if err != nil {
			errs = append(errs, fmt.Errorf("log %s: %w", cfg.Log, err))
		} else {
			c.Close()
		}
	}
	claims, _ := build.Claims(cfg)
	for _, c := range claims {
		if _, err := netip.ParseAddr(c.Host); err == nil || c.Network == "unix" || c.Host == "" {
			continue
		}
		if _, err := net.DefaultResolver.LookupNetIP(ctx, "ip", c.Host); err != nil {
			errs = append(errs, fmt.Errorf("%s: %s: unknown or invalid address [%s]", c.Who, c.Text, c.Host))
		}
	}
	return errors.Join(errs...)
}

// maxSocketPath is how long the path of a Unix socket may be.
const maxSocketPath = 107

// checkPlaces reports users, folders and files that are missing or can't be
// written. Sockets are made before the root and the user are changed, files after.
func checkPlaces(cfg config.Config) error {
	var errs []error
	check := func(service, what string, err error) {
		if err != nil {
			errs = append(errs, config.InService(service, fmt.Errorf("%s: %w", what, err)))
		}
	}
	user := cfg.User
	if user != "" {
		if err := process.CheckUser(user); err != nil {
			errs = append(errs, err)
			user = ""
		}
	}
	if cfg.Chroot != "" {
		if st, err := os.Stat(cfg.Chroot); err != nil || !st.IsDir() {
			return errors.Join(append(errs, fmt.Errorf("chroot: there is no folder %s", cfg.Chroot))...)
		}
	}
	claims, _ := build.Claims(cfg)
	for _, c := range claims {
		if c.Network == "unix" {
			check("", c.Who, checkSocket(c.Host))
		}
	}
	inside := func(file string) string { return filepath.Join(cfg.Chroot, file) }
	if cfg.PidFile != "" {
		check("", "pidfile", process.CheckReplace(inside(cfg.PidFile), user))
	}
	if cfg.WebStats != "" {
		check("", "web_stats", process.CheckReplace(inside(cfg.WebStats), user))
	}
	if cfg.Log != "" && !accesslog.IsNetwork(cfg.Log) {
		check("", "log", process.CheckAppend(inside(cfg.Log), user))
	}
	for _, s := range cfg.Services {
		if s.TableFile != "" {
			check(s.Name, "table_file", process.CheckReplace(inside(s.TableFile), user))
		}
		if s.TLS.ACME.Storage != "" {
			check(s.Name, "acme_storage", process.CheckFolder(existing(inside(s.TLS.ACME.Storage)), user))
		}
	}
	return errors.Join(errs...)
}

// existing is the folder, or the next one above that is there: the others are
// made.
func existing(dir string) string {
	for {
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) || dir == filepath.Dir(dir) {
			return dir
		}
		dir = filepath.Dir(dir)
	}
}

// checkSocket reports why no Unix socket could be made at a path. One that is
// there may be that of a running Pen.
func checkSocket(path string) error {
	if len(path) > maxSocketPath {
		return fmt.Errorf("%s has %d bytes, want at most %d for a Unix socket", path, len(path), maxSocketPath)
	}
	if st, err := os.Lstat(path); err == nil && st.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("listen %s: the file exists and is not a socket", path)
	}
	return process.CheckFolder(filepath.Dir(path), "")
}
