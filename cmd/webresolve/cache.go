package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"pen/internal/hostnames"
	"pen/internal/process"
)

// load reads the cache file, which may be missing, as the first time.
func load(cache *hostnames.Cache, name string, stderr io.Writer) error {
	if name == "" {
		return nil
	}
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cache: %w", err)
	}
	defer f.Close()
	bad, err := cache.Load(f, time.Now())
	if err != nil {
		return fmt.Errorf("cache: %w", err)
	}
	if bad > 0 {
		fmt.Fprintf(stderr, "webresolve: %s: lines passed over, want ADDRESS TIME NAME: %d\n", name, bad)
	}
	return nil
}

// save replaces the cache file.
func save(cache *hostnames.Cache, name string) error {
	if name == "" {
		return nil
	}
	return process.WriteFileAtomic(name, 0o644, func(w io.Writer) error { return cache.Save(w, time.Now()) })
}
