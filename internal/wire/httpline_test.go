package wire

import "testing"

func TestIsHTTPLine(t *testing.T) {
	for line, want := range map[string]bool{
		"":                          false,
		"servers":                   false,
		"POST / HTTP/1.1":           true,
		"GET http://x/ HTTP/1.0\r":  true,
		"servers /  HTTP/1.1 ":      true,
		"write\t/tmp/x\thttp/1.1":   true,
		"PRI * HTTP/2.0":            true,
		"CONNECT a:443 HTTP/1.1":    true,
		"OPTIONS * HTTP/1.1":        true,
		"write /a b HTTP/1.1":       true,
		"check expect HTTP/1.1":     false,
		"check send x expect HTTP/": false,
		"Host: localhost:8888":      true,
		"host:x":                    true,
		"HTTP/1.1":                  false,
		"ssl_alpn h2 http/1.1":      false,
		"ssl_alpn http/1.1":         false,
		"check http /index.html":    false,
		"check http /HTTP/":         false,
		"server 0 address hostname": false,
	} {
		if got := IsHTTPLine(line); got != want {
			t.Errorf("%q: %v", line, got)
		}
	}
}
