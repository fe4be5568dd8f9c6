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

// saveLimit bounds the last save, where Stop has a limit at all: a file system that hangs
// must not keep Pen from stopping.
const saveLimit = 2 * time.Second

// pidFileLimit bounds the removal of the pid file, which must not be left over.
const pidFileLimit = time.Second

// saveTables saves the client tables that have a file, again and again until the App is
// stopped. Stop saves them for the last time, when nothing changes any more.
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
		table := now.services[s.Name].d.Table()
		err := process.WriteFileAtomic(s.TableFile, 0o600, func(w io.Writer) error { return table.Save(w, time.Now(), a.now()) })
		if err != nil {
			errs = append(errs, config.InService(s.Name, fmt.Errorf("table_file %s: %w", s.TableFile, err)))
		}
	}
	return errors.Join(errs...)
}

// restore puts the clients of a saved table back. The file may be missing, as at the
// first start; a damaged one is logged and moved aside.
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
	got, err := table.Restore(f, time.Now(), a.now())
	if err != nil {
		// It is kept for inspection; the next save would overwrite it.
		aside := s.TableFile + ".damaged"
		if rerr := os.Rename(s.TableFile, aside); rerr != nil {
			err = errors.Join(err, rerr)
		}
		log.Error("the saved client table can't be used", "error", err, "moved", aside)
		return
	}
	log.Info("client table restored", "clients", got.Kept, "saved", got.Saved.Format(time.DateTime))
}

// restoreNew restores the tables of services that have got a file, or another one than
// before. Called within change.
func (a *App) restoreNew(old config.Config, next *draft) {
	for _, s := range next.cfg.Services {
		was := old.Service(s.Name)
		if s.TableFile != "" && (was == nil || was.TableFile != s.TableFile) {
			a.restore(s, next.services[s.Name].d.Table())
		}
	}
}
