package wire

// takeSize handles the line with a chunk's size, which goes on without its
// extensions (RFC 9112, section 7.1).
func (r *Requests) takeSize(dst, src []byte) (out []byte, n int, err error) {
	src = src[:min(len(src), maxSize)]
	size, digits, n, err := scanSize(src)
	if n == 0 {
		if err == nil && len(src) == maxSize {
			err = errChunkLine
		}
		return dst, 0, err
	}
	r.state, r.left = inChunk, size
	if size == 0 {
		r.state = inTrailer
	}
	dst = append(dst, src[:digits]...)
	return append(dst, "\r\n"...), n, nil
}

// scanSize reads the line with a chunk's size at the beginning of b: the size,
// how many digits it has, and the length of the line with CRLF, 0 if it is not
// whole.
func scanSize(b []byte) (size int64, digits, n int, err error) {
	size, digits, ok := parseSize(b)
	if !ok || digits == 0 && len(b) > 0 {
		return 0, 0, 0, errChunkSize
	}
	end := digits
	if end < len(b) && b[end] == ';' {
		end += text(b[end:])
	}
	n, err = lineEnd(b, end)
	return size, digits, n, err
}

// parseSize reads the digits at the beginning of b, at most 16 of them and a
// size below 2^63.
func parseSize(b []byte) (size int64, digits int, ok bool) {
	digits = span(b, hexByte)
	if digits > 16 {
		return 0, 0, false
	}
	x := uint64(0)
	for _, c := range b[:digits] {
		x = x<<4 | uint64(hexValue(c))
	}
	return int64(x), digits, x < 1<<63
}

func hexValue(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c | ' ' - 'a' + 10
}

// takeChunkEnd handles what follows a chunk's data.
func (r *Requests) takeChunkEnd(dst, src []byte) (out []byte, n int, err error) {
	n, err = lineEnd(src, 0)
	if err != nil {
		return dst, 0, errChunkEnd
	}
	if n > 0 {
		r.state = inSize
	}
	return append(dst, src[:n]...), n, nil
}

// takeTrailer handles a trailer, or the empty line that ends the request.
func (r *Requests) takeTrailer(dst, src []byte) (out []byte, n int, err error) {
	room := r.f.maxHead() - r.trailed
	src = src[:min(len(src), room)]
	colon, end := 0, src[0] == '\r'
	if end {
		n, err = lineEnd(src, 0)
	} else {
		colon, n, err = scanField(src)
	}
	if err == nil && n == 0 && len(src) == room || n == room && !end {
		err = errTrailerSize
	}
	if n == 0 || err != nil {
		return dst, 0, err
	}
	if end {
		r.finish()
		return append(dst, src[:n]...), n, nil
	}
	r.trailed += n
	if r.trailers++; r.trailers > maxFields {
		return dst, 0, errFields
	}
	switch k := kindOf(src[:colon]); {
	case k >= xForwardedFor: // of no use to anybody, and nobody has vouched for it
		return dst, n, nil
	case k != ordinary:
		return dst, 0, errTrailer
	}
	return append(dst, src[:n]...), n, nil
}
