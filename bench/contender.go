//go:build linux

package main

import (
	"debug/buildinfo"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// backlog is the accept queue of every listener.
const backlog = 4096

// contender is one way from the load to the backend.
type contender struct {
	name    string
	own     bool // ours
	mayFail bool // failures are reported and do not fail the run
	// command writes what configuration is needed and returns the command
	// line of a proxy; nil is the direct way.
	command func(spot) ([]string, error)
}

// spot is where a proxy or backend is to run.
type spot struct {
	dir             string // for configuration
	limit           int    // connections at a time
	workers         int
	listen, backend int // ports on 127.0.0.1
}

// Names of contenders that the report treats apart.
const (
	direct   = "direct"
	splice   = "HAProxy, splice"
	noSplice = "HAProxy, no splice"
	ours     = "Pen (this project)"
	earlier  = "Pen, earlier build"
)

// contenders lists everybody in the order of a forward pass, or an earlier build of
// ours and this one. C Pen and the direct way have no number of workers.
func contenders(o options) []contender {
	if o.before != "" {
		return []contender{
			{name: direct}, {name: earlier, command: ourPen(o.before, o.plane)}, {name: ours, own: true, command: ourPen(o.pen, o.plane)},
		}
	}
	list := []contender{
		{name: direct},
		{name: splice, command: haproxy("option splice-request\n    option splice-response")},
		{name: noSplice, command: haproxy("no option splice-auto")},
		{name: "nginx stream", command: nginxStream},
		{name: "C Pen", mayFail: true, command: func(s spot) ([]string, error) {
			return []string{
				cPen, "-f", "-O", "tcp_nodelay", "-q", strconv.Itoa(backlog),
				"-x", strconv.Itoa(s.limit), loopback(s.listen), loopback(s.backend),
			}, nil
		}},
	}
	if len(o.planes) == 0 {
		return append(list, contender{name: ours, own: true, command: ourPen(o.pen, o.plane)})
	}
	for _, plane := range o.planes {
		list = append(list, contender{name: "Pen, " + plane + " plane", own: true, command: ourPen(o.pen, plane)})
	}
	return list
}

// ourPen returns the command of our binary, on a plane if one is named. Its
// workers are set by GOMAXPROCS.
func ourPen(binary, plane string) func(spot) ([]string, error) {
	return func(s spot) ([]string, error) {
		args := []string{binary, "-f", "-x", strconv.Itoa(s.limit)}
		if plane != "" {
			args = append(args, "-O", "plane "+plane)
		}
		return append(args, loopback(s.listen), loopback(s.backend)), nil
	}
}

// haproxy returns the command of HAProxy with one more line of defaults. Its
// pipes are bounded because it asks for their descriptors when it starts, for a
// quarter of the connections; no load here needs more than a few.
func haproxy(option string) func(spot) ([]string, error) {
	return func(s spot) ([]string, error) {
		file, err := writeConfig(s, "haproxy", fmt.Sprintf(`global
    nbthread %[1]d
    maxconn %[2]d
    maxpipes 100
defaults
    mode tcp
    maxconn %[2]d
    backlog %[3]d
    timeout connect 10s
    timeout client 1h
    timeout server 1h
    %[4]s
listen bench
    bind %[5]s
    server backend %[6]s
`, s.workers, s.limit, backlog, option, loopback(s.listen), loopback(s.backend)))
		return []string{"haproxy", "-db", "-q", "-f", file}, err
	}
}

// nginxStream is the command of nginx as a TCP proxy.
func nginxStream(s spot) ([]string, error) {
	return nginx(s, fmt.Sprintf(`load_module %s;
stream {
    access_log off;
    server {
        listen %s backlog=%d reuseport;
        tcp_nodelay on;
        proxy_pass %s;
        proxy_buffer_size 16k;
        proxy_half_close on;
        proxy_connect_timeout 10s;
        proxy_timeout 1h;
    }
}
`, streamModule, loopback(s.listen), backlog, loopback(s.backend)))
}

// nginxBackend is the command of the HTTP backend.
func nginxBackend(s spot) ([]string, error) {
	return nginx(s, fmt.Sprintf(`http {
    access_log off;
    tcp_nodelay on;
    keepalive_timeout 1h;
    keepalive_requests 1000000000;
    client_body_temp_path %[1]s/body;
    proxy_temp_path %[1]s/proxy;
    fastcgi_temp_path %[1]s/fastcgi;
    uwsgi_temp_path %[1]s/uwsgi;
    scgi_temp_path %[1]s/scgi;
    server {
        listen %[2]s backlog=%[3]d reuseport;
        location / { return 200 "ok"; }
    }
}
`, s.dir, loopback(s.listen), backlog))
}

// nginx returns the command of an nginx with the given blocks, which come first
// because a module must be loaded before events are set up.
func nginx(s spot, blocks string) ([]string, error) {
	file, err := writeConfig(s, "nginx", fmt.Sprintf(`%s
events { worker_connections %d; }
daemon off;
worker_processes %d;
pid %s/nginx-%d.pid;
error_log stderr crit;
`, blocks, 2*s.limit+64, s.workers, s.dir, s.listen))
	return []string{"nginx", "-p", s.dir, "-e", "stderr", "-c", file}, err
}

// writeConfig writes a configuration and returns its path.
func writeConfig(s spot, kind, text string) (string, error) {
	path := filepath.Join(s.dir, fmt.Sprintf("%s-%d.conf", kind, s.listen))
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		return "", fmt.Errorf("configuration of %s: %w", kind, err)
	}
	return path, nil
}

// Files of Debian packages that are named by path.
const (
	cPen         = "/usr/bin/pen"
	streamModule = "/usr/lib/nginx/modules/ngx_stream_module.so"
)

// needs are the Debian packages and the file or program that shows each.
var needs = []struct{ pkg, file string }{
	{"nginx", "nginx"},
	{"libnginx-mod-stream", streamModule},
	{"haproxy", "haproxy"},
	{"wrk", "wrk"},
	{"pen", cPen},
	{"util-linux", "taskset"},
}

// checkNeeds says which packages, or which binary of ours, are missing.
func checkNeeds(pen string) error {
	var missing []string
	for _, n := range needs {
		_, err := exec.LookPath(n.file)
		if filepath.IsAbs(n.file) {
			_, err = os.Stat(n.file)
		}
		if err != nil {
			missing = append(missing, n.pkg)
		}
	}
	if len(missing) > 0 {
		list := strings.Join(missing, " ")
		return fmt.Errorf("missing Debian packages: %s (apt-get install %s)", list, list)
	}
	if _, err := exec.LookPath(pen); err != nil {
		return fmt.Errorf("our binary: %w (build it first, or name it with -pen)", err)
	}
	return nil
}

// versions returns a line for every program that takes part.
func versions(pen string) ([]string, error) {
	var lines []string
	for _, n := range needs {
		out, err := exec.Command("dpkg-query", "-W", "-f", "${Package} ${Version}", n.pkg).Output()
		if err != nil {
			return nil, fmt.Errorf("version of Debian package %s: %w", n.pkg, err)
		}
		lines = append(lines, "Debian "+string(out))
	}
	return append(lines, "ours: "+penVersion(pen)), nil
}

// penVersion describes our binary by what the Go tool chain wrote into it.
func penVersion(pen string) string {
	info, err := buildinfo.ReadFile(pen)
	if err != nil {
		return filepath.Base(pen) + ", not a Go program"
	}
	text := fmt.Sprintf("%s %s, %s", info.Path, info.Main.Version, info.GoVersion)
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			text += ", revision " + s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			text += ", modified"
		}
	}
	return text
}
