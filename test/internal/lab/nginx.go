package lab

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"pen/internal/testenv"
)

// BigFile is what [Nginx] serves as /big.
var BigFile = strings.Repeat("0123456789abcdef", 4<<20/16)

// Nginx starts nginx and returns its address. It greets at /, serves /big, and takes
// uploads at /put.
func Nginx(t testing.TB) string {
	t.Helper()
	addr, dir := testenv.Unused(t), t.TempDir()
	conf := filepath.Join(dir, "nginx.conf")
	WriteFile(t, filepath.Join(dir, "big"), BigFile)
	WriteFile(t, conf, fmt.Sprintf(`daemon off; master_process off; pid %s/pid; error_log %s/error.log;
events { worker_connections 1024; }
http { access_log off; server { listen %s; root %s; location = / { return 200 "hello\n"; } client_max_body_size 9m; location = /put { proxy_pass http://%s/; } } }
`, dir, dir, addr, dir, addr))
	Start(t, addr, "nginx", "-p", dir, "-e", dir+"/error.log", "-c", conf)
	return addr
}
