package wire

// appendHead appends what the head b becomes for the server.
func (r *Requests) appendHead(dst, b []byte) []byte {
	from := 0
	for _, e := range r.head.edits {
		if r.drops(e, b) {
			dst = append(dst, b[from:e.start]...)
			from = int(e.end)
			if e.kind <= transferEncoding { // with a tab, which for some servers is a part of the value
				dst = append(dst, b[e.start:e.colon]...)
				dst = append(dst, ": "...)
				dst = append(dst, e.value(b)...)
				dst = append(dst, "\r\n"...)
			}
		}
	}
	dst = append(dst, b[from:len(b)-len("\r\n")]...)
	if r.head.reconnects() {
		dst = r.head.appendConnection(dst, b)
	}
	dst = r.appendForwarding(dst, b)
	return append(dst, "\r\n"...)
}

// drops reports whether a field is left out, perhaps to be written anew.
func (r *Requests) drops(e edit, b []byte) bool {
	switch e.kind {
	case connection:
		return r.head.reconnects()
	case origin:
		return !r.f.Trusted
	case xForwardedProto:
		return !r.f.Trusted || len(e.value(b)) == 0
	case forwarded:
		return !r.f.Trusted || r.f.Forwarded
	}
	return true
}

// reconnects reports whether Connection is written anew.
func (h *head) reconnects() bool { return h.strip }

// appendConnection appends Upgrade and Connection, as far as something is left
// of them.
func (h *head) appendConnection(dst, b []byte) []byte {
	var up, conn list
	for _, e := range h.edits {
		if e.kind != upgrade {
			continue
		}
		for m := range members(e.value(b)) {
			if h.mayUpgrade(m) {
				dst = up.add(dst, "Upgrade: ", m)
			}
		}
	}
	dst = up.end(dst)
	for _, e := range h.edits {
		if e.kind != connection {
			continue
		}
		for m := range members(e.value(b)) {
			switch {
			case kindOf(m) == http2Settings:
			case kindOf(m) == upgrade && !h.upgrade:
			default:
				dst = conn.add(dst, "Connection: ", m)
			}
		}
	}
	return conn.end(dst)
}

// appendForwarding appends the fields about the client. Those that a trusted
// one has sent come first.
func (r *Requests) appendForwarding(dst, b []byte) []byte {
	var chain, elements list
	proto := false
	if r.f.Trusted {
		for _, e := range r.head.edits {
			v := e.value(b)
			proto = proto || e.kind == xForwardedProto && len(v) > 0
			if e.kind == xForwardedFor && len(v) > 0 {
				dst = chain.add(dst, "X-Forwarded-For: ", v)
			}
		}
	}
	dst = chain.add(dst, "X-Forwarded-For: ", nil)
	dst = chain.end(r.appendClient(dst))
	if !proto {
		dst = append(dst, "X-Forwarded-Proto: "...)
		dst = append(dst, r.f.Proto...)
		dst = append(dst, "\r\n"...)
	}
	if !r.f.Forwarded {
		return dst
	}
	if r.f.Trusted {
		for _, e := range r.head.edits {
			if v := e.value(b); e.kind == forwarded && len(v) > 0 && closed(v) {
				dst = elements.add(dst, "Forwarded: ", v)
			}
		}
	}
	dst = elements.add(dst, "Forwarded: ", nil)
	return elements.end(r.appendElement(dst))
}

// appendClient appends the client's address.
func (r *Requests) appendClient(dst []byte) []byte {
	if !r.f.Client.IsValid() {
		return append(dst, "unknown"...)
	}
	return r.f.Client.AppendTo(dst)
}

// appendElement appends what Forwarded says of the client (RFC 7239, section
// 4): for=192.0.2.1;proto=https, or for="[2001:db8::1]";proto=https.
func (r *Requests) appendElement(dst []byte) []byte {
	dst = append(dst, "for="...)
	if r.f.Client.Is6() {
		dst = append(dst, `"[`...)
		dst = r.appendClient(dst)
		dst = append(dst, `]"`...)
	} else {
		dst = r.appendClient(dst)
	}
	dst = append(dst, ";proto="...)
	return append(dst, r.f.Proto...)
}

// A list is a field that gets its members one by one.
type list struct{ begun bool }

// add appends a member, and the name before the first.
func (l *list) add(dst []byte, name string, member []byte) []byte {
	if l.begun {
		dst = append(dst, ", "...)
	} else {
		dst = append(dst, name...)
	}
	l.begun = true
	return append(dst, member...)
}

// end ends the field's line, if there is one.
func (l *list) end(dst []byte) []byte {
	if !l.begun {
		return dst
	}
	return append(dst, "\r\n"...)
}

// mayUpgrade reports whether a protocol stays in Upgrade: not those by which
// requests would arrive that nobody has followed, HTTP or TLS around it (RFC
// 2817), and none in HTTP/1.0 (RFC 9110, section 7.8).
func (h *head) mayUpgrade(protocol []byte) bool {
	for _, p := range []string{"h2", "http", "tls"} {
		if len(protocol) >= len(p) && equal(protocol[:len(p)], p) {
			return false
		}
	}
	return !h.barred && !h.old
}

// closed reports whether all quoted strings of a value end, so that what is
// appended is not taken for a part of one.
func closed(v []byte) bool {
	quoted := false
	for i := 0; i < len(v); i++ {
		switch {
		case v[i] == '"':
			quoted = !quoted
		case v[i] == '\\' && quoted:
			i++
		}
	}
	return !quoted
}
