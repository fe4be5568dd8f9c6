package wire

import "strings"

// IsHTTPLine reports whether a line is one that only an HTTP client sends: a
// request line, or a Host field. A line protocol that does not end there lets a
// browser, or a server that can be talked into a request, speak it.
func IsHTTPLine(line string) bool {
	line = strings.TrimRight(line, " \t\r\n")
	last := line[strings.LastIndexAny(line, " \t")+1:]
	if last != line && len(last) >= len("HTTP/") && strings.EqualFold(last[:len("HTTP/")], "HTTP/") {
		words := strings.Fields(line)
		if last[0] == 'H' || len(words) == 3 && words[1][0] == '/' { // ssl_alpn h2 http/1.1 is none
			return true
		}
	}
	return len(line) >= len("Host:") && strings.EqualFold(line[:len("Host:")], "Host:")
}
