package process

import (
	"context"
	"log/slog"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A handler makes a line of text of what is logged and queues it.
type handler struct {
	log    *Logger
	prefix string // of keys: the groups, each with a dot
	attrs  string // of With, formatted
}

// Enabled implements [slog.Handler].
func (h *handler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= h.log.Level.Level()
}

// Handle implements [slog.Handler]. It does not block.
func (h *handler) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	appendPrintable(&b, r.Message)
	b.WriteString(h.attrs)
	r.Attrs(func(a slog.Attr) bool {
		appendAttr(&b, h.prefix, a)
		return true
	})
	h.log.put(entry{r.Time, r.Level, cut(b.String())})
	return nil
}

// WithAttrs implements [slog.Handler].
func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	var b strings.Builder
	b.WriteString(h.attrs)
	for _, a := range attrs {
		appendAttr(&b, h.prefix, a)
	}
	return &handler{log: h.log, prefix: h.prefix, attrs: b.String()}
}

// WithGroup implements [slog.Handler].
func (h *handler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	return &handler{log: h.log, prefix: h.prefix + name + ".", attrs: h.attrs}
}

func appendAttr(b *strings.Builder, prefix string, a slog.Attr) {
	v := a.Value.Resolve()
	switch {
	case v.Kind() == slog.KindGroup:
		if a.Key != "" {
			prefix += a.Key + "."
		}
		for _, member := range v.Group() {
			appendAttr(b, prefix, member)
		}
	case a.Key == "" && v.Equal(slog.Value{}): // means: nothing
	default:
		b.WriteByte(' ')
		appendPrintable(b, prefix+a.Key)
		b.WriteByte('=')
		appendValue(b, v.String())
	}
}

// appendValue quotes what would not read as one word.
func appendValue(b *strings.Builder, s string) {
	bare := s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return r == ' ' || r == '"' || r == '=' || r == utf8.RuneError || !unicode.IsPrint(r)
	})
	if bare {
		b.WriteString(s)
	} else {
		b.WriteString(strconv.Quote(s))
	}
}

// appendPrintable escapes, as Go does, every character that could end the line
// or act on a terminal.
func appendPrintable(b *strings.Builder, s string) {
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		if unicode.IsPrint(r) && (r != utf8.RuneError || size > 1) {
			b.WriteRune(r)
		} else {
			quoted := strconv.Quote(s[:size])
			b.WriteString(quoted[1 : len(quoted)-1])
		}
		s = s[size:]
	}
}

// cut limits a line, at the border of a character.
func cut(s string) string {
	if len(s) <= logLine {
		return s
	}
	end := logLine
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "..."
}
