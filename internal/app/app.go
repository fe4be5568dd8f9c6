// Package app builds Pen from its parts, starts and stops it, and applies
// changes. It is the one package that knows all others, and is imported only
// by the command and by tests.
//
// It handles no signals and never ends the process, so that tests can run
// several at once.
package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"pen/internal/accesslog"
	"pen/internal/acl"
	"pen/internal/build"
	"pen/internal/client"
	"pen/internal/config"
	"pen/internal/control"
	"pen/internal/dispatch"
	"pen/internal/geoip"
	"pen/internal/names"
	"pen/internal/plane/loop"
	"pen/internal/process"
	"pen/internal/sock"
	"pen/internal/store"
	"pen/internal/tlsterm"
)

// Options are what New needs besides the command line.
type Options struct {
	// Context, when it is done, has New and Start give up, and Stop nothing left
	// to wait for but what runs. nil is never.
	Context context.Context
	Log     *slog.Logger
	// Report takes the report of WriteStats, a text of many lines, for the log; nil
	// discards it. It must not block.
	Report func(text string)
	// SetDebug is called with the level of detail, 0 upwards, at the start and
	// whenever it changes.
	SetDebug func(level int)
	// Output gets the replies to commands given at the start; nil discards.
	Output io.Writer
	// Loops is how many event loops carry the connections of a listener; see
	// loop.New. 0 is one fewer than the processors that Go may use, one at
	// least. Where there are many listeners each has fewer.
	Loops int
	// OnLoops, unless it is nil, is called when the first event loop begins to run: from
	// then on Go should use a processor more than Loops.
	OnLoops func()
	// Memory is what the process may use of it; nil has no limit.
	Memory *process.Memory
	// Names says how addresses are looked up, if not as the system does.
	Names names.Options
	// EndTime is how long Stop waits for connections that it has ended and for
	// changes under way, and half of it for the rest, such as a log that takes
	// nothing; 0 is for ever. Client tables have saveLimit. A caller that ends the
	// process after Stop need not wait: the kernel closes what is left.
	EndTime time.Duration
}

// An App is one running Pen.
type App struct {
	opt        Options
	start      time.Time
	run        []config.Command // to be run once started
	store      *store.Store     // used within change only
	nofile     build.Descriptors
	builder    *build.Builder   // used within change only
	sockets    sock.Sockets     // all that Pen listens on
	processors *loop.Processors // of Go's, for event loops
	checks     *checks
	names      *names.Watcher
	renamed    chan struct{}    // a name has got another address
	budget     *dispatch.Budget // of descriptors for connections
	// budgetUDP is the share of it for flows of datagrams
	budgetUDP *dispatch.Budget

	serving  sync.WaitGroup // planes and the control server
	stopping context.Context
	stop     context.CancelFunc
	ticks    sync.WaitGroup // those who end waits of flows, after the planes
	done     chan struct{}  // closed when the exit command was given
	exitOnce sync.Once
	cleanup  cleanups

	cfg      atomic.Pointer[inUse]         // stored within change
	requests atomic.Pointer[accesslog.Log] // nil: requests are not logged; stored within change
	ending   ending
	changes  changes // Start has the first turn

	// All below is used within change only, but for New.
	countries *geoip.DB                              // nil where none is wanted
	first     *draft                                 // what New has made, until Start has it run
	services  map[string]*service                    // replaced, never changed
	built     int                                    // policies, so far
	missing   map[serverAt]string                    // servers whose addresses are not known, and why
	tls       map[*tlsterm.Server]context.CancelFunc // that run, with their ends
	obsolete  bool                                   // that a protocol is obsolete was logged
	tables    map[string]*client.Table               // client tables that services share
	control   *control.Server
	agents    net.Listener    // for the reports of agents; may be nil
	ticking   context.Context // from Start to the end of all flows
}

// inUse is the configuration in use, with what the control socket asks of
// it: its access lists.
type inUse struct {
	config.Config
	acls     *acl.Lists
	services map[string]*service
	tls      build.TLS
	// sweepTurn is how often all services are swept; see sweepTurnOf.
	sweepTurn time.Duration
}

// certificates are those of a service's TLS.
func (c *inUse) certificates(service string) []tlsterm.Info {
	if s := c.tls.Server(service); s != nil {
		return s.Certificates()
	}
	return nil
}

// New builds an App from a command line and binds its sockets. Nothing runs
// yet. After an error nothing is left open.
func New(inv config.Invocation, opt Options) (*App, error) {
	a := &App{
		opt: opt, start: time.Now(), run: inv.Run, store: store.New(inv),
		nofile: build.Descriptors(process.RaiseNoFile()), done: make(chan struct{}), renamed: make(chan struct{}, 1), tables: map[string]*client.Table{}, missing: map[serverAt]string{}, tls: map[*tlsterm.Server]context.CancelFunc{},
		changes: changes{turn: make(chan struct{}, 1)},
	}
	opt.Names.OnChange, opt.Names.Log = a.readdressed, opt.Log
	a.names = names.New(opt.Names)
	a.builder = build.New(build.Options{Log: opt.Log, Names: a.names, Files: a.nofile, LogRequest: a.logRequest})
	a.checks = a.newChecks(a.agentConns(inv.Config))
	a.processors = loop.NewProcessors(cmp.Or(opt.Loops, defaultLoops()), opt.OnLoops)
	a.budget = dispatch.NewBudget(a.nofile.ForConnections() - a.agentConns(inv.Config))
	a.budgetUDP = a.budget.Share((a.nofile.ForConnections() - a.agentConns(inv.Config)) / 2)
	if opt.Context == nil {
		opt.Context = context.Background()
	}
	a.stopping, a.stop = context.WithCancel(opt.Context)
	a.changes.turn <- struct{}{}
	if err := a.setup(inv.Config); err != nil {
		a.end()
		_, undone := a.cleanup.run(opt.Log, 0)
		return nil, errors.Join(err, undone)
	}
	return a, nil
}

// setup makes the parts in the order in which they need each other. Each one
// registers its end as soon as it exists.
func (a *App) setup(cfg config.Config) error {
	if !cfg.Listens() {
		return config.ErrNoListener
	}
	// Start opens the GeoIP database. A server that is Pen itself is down,
	// and logged: an address that this machine has got keeps nothing from starting.
	b, err := a.build(a.stopping, cfg, nil)
	if err != nil {
		return err
	}
	if err := build.Permitted(cfg); err != nil {
		return err
	}
	if err := a.openControl(cfg); err != nil {
		return err
	}
	if err := a.openAgents(cfg); err != nil {
		return err
	}
	d := a.draft(cfg, b, nil)
	if err := a.bind(d); err != nil {
		return err
	}
	a.cleanup.add("listeners", func() error {
		if a.first != nil {
			a.first.discard()
		}
		return nil // Serve has closed them
	})
	a.opt.SetDebug(cfg.Debug)
	a.builder.Use(b)
	a.names.Set(b.Queries)
	a.first = d
	a.cfg.Store(&inUse{Config: cfg})
	return nil
}

// now is the time since 1970 on the clock of Dispatchers and client tables, which goes on
// evenly from the start, whatever becomes of the machine's clock.
func (a *App) now() time.Duration { return time.Duration(a.start.UnixNano()) + time.Since(a.start) }

// Start begins to serve and runs the commands that were given to be run. It blocks on
// files, but not on clients.
func (a *App) Start() error {
	cfg := a.first.cfg
	if err := a.inTurn(a.serveFirst); err != nil {
		return err
	}
	<-a.changes.turn // from now on there may be changes
	a.spawn(a.sweep)
	if m := a.opt.Memory; m != nil {
		a.spawn(func() { a.watchMemory(m, m.Limit) })
	}
	a.spawn(a.follow)
	a.spawn(a.saveTables)
	a.names.Start()
	a.cleanup.add("checks", func() error {
		a.checks.monitor.Close()
		return nil
	})
	a.cleanup.add("names", func() error {
		a.names.Close()
		return nil
	})
	if a.agents != nil {
		a.spawn(func() { a.checks.receiver.Serve(a.stopping, a.agents) })
	}
	if a.control != nil {
		a.spawn(func() { a.control.Serve(a.stopping) })
	}
	for _, cmd := range a.run {
		reply, err := control.Run(a, cmd)
		if err != nil {
			return fmt.Errorf("%s: %w", cmd.Origin, err)
		}
		if a.opt.Output != nil {
			io.WriteString(a.opt.Output, reply)
		}
	}
	a.sayLimit(cfg)
	for _, s := range cfg.Services {
		if running := a.cfg.Load().services[s.Name]; len(running.listeners) > 0 {
			a.opt.Log.Info("listening", append(running.label(), "address", strings.Join(running.addresses(), " "), "servers", len(s.Servers))...)
		}
	}
	return nil
}

// serveFirst has what New has made run. It reads files here and not before, so that
// they are looked for in the folder of -j, and read by the user of -u, as whenever they
// are read again. Called within change.
func (a *App) serveFirst(ctx context.Context) error {
	d := a.first
	if d.cfg.PidFile != "" {
		remove, err := process.WritePid(d.cfg.PidFile)
		if err != nil {
			return err
		}
		a.cleanup.addSlow("pid file", pidFileLimit, remove)
	}
	if err := a.startLog(d.cfg); err != nil {
		return err
	}
	if d.cfg.GeoIPDB != "" {
		countries, err := a.openCountries(d.cfg, false)
		if err != nil {
			return err
		}
		b, err := a.build(ctx, d.cfg, countries)
		if err != nil {
			return err
		}
		a.useCountries(countries)
		bound := d.bound
		d = a.draft(d.cfg, b, nil)
		d.bound = bound
	}
	var endTicks context.CancelFunc
	a.ticking, endTicks = context.WithCancel(context.Background())
	a.cleanup.add("waits", func() error {
		endTicks()
		a.ticks.Wait()
		return nil
	})
	a.restoreNew(config.Config{}, d)
	a.cleanup.addSlow("client tables", saveLimit, a.saveAll)
	a.first = nil
	a.use(d)
	return nil
}

// Addr is the address on which the first service is served, the first one if
// there are several.
func (a *App) Addr() string {
	all := a.cfg.Load().services[config.DefaultService].addresses()
	if len(all) == 0 {
		return ""
	}
	return all[0]
}

// Done is closed when the exit command was given: the caller should Stop.
func (a *App) Done() <-chan struct{} { return a.done }

// Stop accepts no new clients, lets connections go on until drain is over, and closes
// the rest. It blocks, not much longer than drain, and returns what failed. It may be
// called again, to cut the drain short. The App can't be started again.
func (a *App) Stop(drain time.Duration) error {
	a.end()
	ended := make(chan struct{})
	go func() {
		a.serving.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(drain):
		a.killUntil(ended)
	}
	late, err := a.cleanup.run(a.opt.Log, a.opt.EndTime/2)
	if late != nil { // on a busy machine, or a disk that hangs: Pen has stopped in order all the same
		a.opt.Log.Warn("not everything stopped in time", "error", late)
	}
	return err
}

// killUntil ends all flows, also those that were on their way in when it began,
// and waits for their end, or for EndTime.
func (a *App) killUntil(ended <-chan struct{}) {
	var over <-chan time.Time
	if a.opt.EndTime > 0 {
		over = time.After(a.opt.EndTime)
	}
	killed := make(chan struct{})
	go func() { // outlives EndTime where there are very many
		defer close(killed)
		for {
			for _, d := range a.dispatchers() {
				d.KillAll()
			}
			select {
			case <-ended:
				return
			case <-time.After(50 * time.Millisecond):
			}
		}
	}()
	select {
	case <-killed:
	case <-over:
	}
}
