package check

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// escape returns bytes as one printable word without a #, which would start a comment.
func escape(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		switch {
		case c == '\r':
			b.WriteString(`\r`)
		case c == '\n':
			b.WriteString(`\n`)
		case c == '\t':
			b.WriteString(`\t`)
		case c == ' ':
			b.WriteString(`\s`)
		case c == '\\':
			b.WriteString(`\\`)
		case c < ' ' || c > '~' || c == '#':
			fmt.Fprintf(&b, `\x%02x`, c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

var errEscape = errors.New(`want \r, \n, \t, \s, \\ or \xNN after a backslash`)

// unescape reverses escape. The result must not be empty, nor longer than maxArg.
func unescape(word string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(word); i++ {
		c := word[i]
		if c != '\\' {
			b.WriteByte(c)
			continue
		}
		if i++; i == len(word) {
			return "", errEscape
		}
		switch word[i] {
		case 'r':
			c = '\r'
		case 'n':
			c = '\n'
		case 't':
			c = '\t'
		case 's':
			c = ' '
		case '\\':
		case 'x':
			n, err := strconv.ParseUint(word[min(i+1, len(word)):min(i+3, len(word))], 16, 8)
			if err != nil || i+3 > len(word) {
				return "", errEscape
			}
			c = byte(n)
			i += 2
		default:
			return "", errEscape
		}
		b.WriteByte(c)
	}
	if b.Len() == 0 || b.Len() > maxArg {
		return "", fmt.Errorf("a string of %d bytes, want 1 to %d", b.Len(), maxArg)
	}
	return b.String(), nil
}
