package acme

import (
	"context"
	"log/slog"
	"maps"
	"slices"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// The ACME libraries log much detail. The caller logs what matters, so everything
// of theirs goes to level debug.

// quiet is a slog.Handler that lowers every record to level debug.
type quiet struct{ slog.Handler }

func (q quiet) Enabled(ctx context.Context, _ slog.Level) bool {
	return q.Handler.Enabled(ctx, slog.LevelDebug)
}

func (q quiet) Handle(ctx context.Context, r slog.Record) error {
	r.Level = slog.LevelDebug
	return q.Handler.Handle(ctx, r)
}

func (q quiet) WithAttrs(attrs []slog.Attr) slog.Handler { return quiet{q.Handler.WithAttrs(attrs)} }
func (q quiet) WithGroup(name string) slog.Handler       { return quiet{q.Handler.WithGroup(name)} }

// zapLogger returns a zap logger that writes to a slog logger.
func zapLogger(log *slog.Logger) *zap.Logger {
	return zap.New(zapCore{log}, zap.WithClock(zapcore.DefaultClock))
}

// zapCore is a zapcore.Core on top of slog.
type zapCore struct{ log *slog.Logger }

func (c zapCore) Enabled(zapcore.Level) bool {
	return c.log.Enabled(context.Background(), slog.LevelDebug)
}

func (c zapCore) With(fields []zapcore.Field) zapcore.Core {
	return zapCore{c.log.With(attrs(fields)...)}
}

func (c zapCore) Check(e zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if !c.Enabled(e.Level) {
		return checked
	}
	return checked.AddCore(e, c)
}

func (c zapCore) Write(e zapcore.Entry, fields []zapcore.Field) error {
	c.log.Debug("acme: "+e.Message, attrs(fields)...)
	return nil
}

func (c zapCore) Sync() error { return nil }

// attrs converts zap fields for slog, sorted by name.
func attrs(fields []zapcore.Field) []any {
	m := zapcore.NewMapObjectEncoder()
	for _, f := range fields {
		f.AddTo(m)
	}
	var all []any
	for _, key := range slices.Sorted(maps.Keys(m.Fields)) {
		all = append(all, slog.Any(key, m.Fields[key]))
	}
	return all
}
