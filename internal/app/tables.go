package app

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"pen/internal/client"
	"pen/internal/config"
	"pen/internal/process"
)

// saveTurn is how often client tables are saved, besides at the end.
const saveTurn = time.Minute

// saveLimit is how long the last time may take, where Stop has a limit at all: a
// file system that hangs must not keep Pen from ending.
const saveLimit = 2 * time.Second

// saveTables saves the client tables that have a file, again and again until the
// App is stopped. The last time is by Stop, when nothing moves any more.
func (a *App) saveTables() {
	for {
		select {
		case <-a.stopping.Done():
			return
		case <-time.After(saveTurn):
			if err := a.saveAll(); err != nil {
				a.opt.Log.Error("the client table is not saved", "error", err)
			}
		}
	}
}

func (a *App) saveAll() error {
	now := a.cfg.Load()
	var errs []error
	for _, s := range now.Services {
		if s.TableFile == "" {
			continue
		}
		meta := client.Meta{Saved: time.Now()}
		for _, server := range s.Servers {
			meta.Servers = append(meta.Servers, identity(server))
		}
		table := now.services[s.Name].d.Table()
		err := process.WriteFileAtomic(s.TableFile, 0o600, func(w io.Writer) error { return table.Save(w, meta, a.now()) })
		if err != nil {
			errs = append(errs, config.InService(s.Name, fmt.Errorf("table_file %s: %w", s.TableFile, err)))
		}
	}
	return errors.Join(errs...)
}

// identity is what a server is known by in a saved table, wherever it stands in
// the configuration.
func identity(s config.Server) string {
	switch {
	case !s.Used():
		return ""
	case s.Name != "":
		return s.Name
	case s.Service != "":
		return s.Host + ":" + s.Service
	}
	return fmt.Sprintf("%s:%d", s.Host, s.Port)
}

// slotsByIdentity returns what finds the slot of a saved server, the first one if
// several are alike, client.NoServer if it is gone.
func slotsByIdentity(servers []config.Server) func(identity string) int {
	slots := make(map[string]int, len(servers))
	for slot, s := range servers {
		id := identity(s)
		if _, there := slots[id]; s.Used() && !there {
			slots[id] = slot
		}
	}
	return func(identity string) int {
		if slot, ok := slots[identity]; ok {
			return slot
		}
		return client.NoServer
	}
}

// restore puts the clients of a saved table back. A file that is missing is that
// of a first start; a damaged one is left alone and said.
func (a *App) restore(s config.Service, table *client.Table) {
	log := a.log(s.Name).With("file", s.TableFile)
	f, err := process.OpenRegular(s.TableFile)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			log.Error("the saved client table can't be read", "error", err)
		}
		return
	}
	defer f.Close()
	got, err := table.Restore(f, client.Restoring{Slot: slotsByIdentity(s.Servers), Now: a.now(), Wall: time.Now()})
	if err != nil {
		// It is kept for whoever wants to look: the next save takes its name.
		aside := s.TableFile + ".damaged"
		if rerr := os.Rename(s.TableFile, aside); rerr != nil {
			err = errors.Join(err, rerr)
		}
		log.Error("the saved client table can't be used", "error", err, "moved", aside)
		return
	}
	log.Info("client table restored", "clients", got.Kept, "saved", got.Saved.Format(time.DateTime))
}

// restoreNew restores the tables of services that have a file now and had none,
// or another one. Called within change.
func (a *App) restoreNew(old, next config.Config) {
	for _, s := range next.Services {
		was := old.Service(s.Name)
		if s.TableFile != "" && (was == nil || was.TableFile != s.TableFile) {
			a.restore(s, a.services[s.Name].d.Table())
		}
	}
}
