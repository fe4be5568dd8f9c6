package wire

import "strings"

// IsHTTPLine reports whether a line is one that only an HTTP client sends: a
// request line, whatever its method, or a Host field. A line protocol that does
// not end there lets a browser, or a server that can be talked into a request,
// speak it. To name HTTP, as "check expect HTTP/1.1" does, is no request.
func IsHTTPLine(line string) bool {
	words := strings.Fields(line)
	switch {
	case len(words) == 0:
		return false
	case hasPrefixFold(words[0], "Host:"):
		return true
	case len(words) < 3:
		return false
	}
	target, version := words[1], words[len(words)-1]
	return hasPrefixFold(version, "HTTP/") && (target[0] == '/' || target == "*" || strings.Contains(target, ":"))
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}
