package app

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"

	"pen/internal/config"
	"pen/internal/control"
	"pen/internal/sock"
)

// openControl binds the control socket. As root it takes no TCP port, since
// any client of it could take over the machine.
func (a *App) openControl(cfg config.Config) error {
	if cfg.Control == "" {
		return nil
	}
	address := sock.OnLoopback(cfg.Control)
	network, _, err := sock.Split(address)
	if err != nil {
		return fmt.Errorf("control %w", err)
	}
	opt := control.Options{Log: a.opt.Log, Level: config.Local, Sessions: a.controlSessions()}
	if opt.Tokens, err = controlTokens(cfg); err != nil {
		return err
	}
	if network != "unix" {
		opt.Level = cfg.ControlDefault()
		if cfg.User == "" && os.Getuid() == 0 {
			a.opt.Log.Error("Won't open control port running as root; use -u to run as different user")
			return nil
		}
	}
	ln, err := a.connections(a.sockets.ListenPrivate(address))
	if err != nil {
		return fmt.Errorf("control socket: %w", err)
	}
	if tcp, ok := ln.Addr().(*net.TCPAddr); ok && config.IsLoopback(cfg.Control) && !tcp.IP.IsLoopback() {
		return errors.Join(fmt.Errorf("control %s: it is %v, which is not of this machine only", cfg.Control, tcp), ln.Close())
	}
	a.control = control.New(ln, a, opt)
	a.cleanup.add("control socket", ln.Close)
	return nil
}

// connections returns package net's view of a listener.
func (a *App) connections(l *sock.Listener, err error) (net.Listener, error) {
	if err != nil {
		return nil, err
	}
	ln, err := l.Connections()
	if err != nil {
		return nil, errors.Join(err, l.Release())
	}
	return ln, nil
}

// controlSessions is how many clients the control socket may have: no more
// than half of the descriptors that connections leave.
func (a *App) controlSessions() int {
	return max((int(min(a.nofile, 1<<30))-a.nofile.ForConnections())/2, 2)
}

const maxTokenFile = 64 << 10 // bytes

// controlTokens reads the tokens of clients of a TCP control port.
func controlTokens(cfg config.Config) (control.Tokens, error) {
	var all control.Tokens
	for level, name := range cfg.ControlTokens.Files() {
		text, err := readSecret(name)
		if err != nil {
			return nil, fmt.Errorf("control_token %s: %w", level, err)
		}
		tokens, err := control.ParseTokens(level, text)
		if err != nil {
			return nil, fmt.Errorf("control_token %s %s: %w", level, name, err)
		}
		all = append(all, tokens...)
	}
	return all, nil
}

// readSecret reads a small file that nobody else may read.
func readSecret(name string) (string, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a FIFO must not make us wait
	if err != nil {
		return "", err
	}
	defer f.Close()
	st, err := f.Stat()
	switch {
	case err != nil:
		return "", err
	case !st.Mode().IsRegular():
		return "", fmt.Errorf("%s is not a regular file", name)
	case st.Mode().Perm()&0o077 != 0:
		return "", fmt.Errorf("%s may be read or written by others than its owner (mode %04o), want 0600", name, st.Mode().Perm())
	case st.Size() > maxTokenFile:
		return "", fmt.Errorf("%s has more than %d bytes", name, maxTokenFile)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxTokenFile))
	return string(text), err
}

// agentConns is how many connections agents may have to agent_listen. They are
// not taken from those of clients.
func (a *App) agentConns(cfg config.Config) int {
	if cfg.AgentListen == "" {
		return 0
	}
	return int(max(min(a.nofile/8, 1024), 1))
}

// openAgents binds the listener for the reports of agents.
func (a *App) openAgents(cfg config.Config) error {
	if cfg.AgentListen == "" {
		return nil
	}
	ln, err := a.connections(a.sockets.Listen(sock.OnLoopback(cfg.AgentListen)))
	if err != nil {
		return fmt.Errorf("agent_listen: %w", err)
	}
	a.agents = ln
	a.cleanup.add("reports of agents", ln.Close)
	return nil
}
