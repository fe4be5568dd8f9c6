package config

import (
	"slices"
	"testing"
)

// Every verb says which level it needs.
func TestEveryVerbHasALevel(t *testing.T) {
	for _, v := range table {
		if v.Level == 0 {
			t.Errorf("%s: which level does it need on the control socket? Say it in its row; "+
				"what reads or writes files or runs programs is Local", v.Name)
		}
	}
}

// A verb whose value is a file, a folder or a program needs Local.
func TestFilesAreLocal(t *testing.T) {
	for _, v := range table {
		if slices.ContainsFunc([]string{"FILE", "DIR", "CERT"}, func(what string) bool { return slices.Contains(fieldsOf(v.Args), what) }) &&
			v.Name != "check" && v.Level != Local {
			t.Errorf("%s %s: has level %v", v.Name, v.Args, v.Level)
		}
	}
}

// fieldsOf are the words of what is said of a verb's arguments.
func fieldsOf(args string) []string {
	return slices.Collect(func(yield func(string) bool) {
		word := ""
		for _, r := range args + " " {
			if r >= 'A' && r <= 'Z' {
				word += string(r)
				continue
			}
			if word != "" && !yield(word) {
				return
			}
			word = ""
		}
	})
}

func TestLevel(t *testing.T) {
	for line, want := range map[string]Level{
		"servers":                            View,
		"blacklist":                          View,
		"log":                                View,
		"web_stats":                          View,
		"check":                              View,
		"server 1 weight 3 max 5":            Operate,
		"server 0-3 state drain":             Operate,
		"server 1 weight 3 address 10.0.0.1": Admin,
		"server 1 acl 3":                     Admin,
		"server 1 remove":                    Admin,
		"server 1 address /run/docker.sock":  Local,
		"server 1 address run/docker.sock port 1": Local,
		"emergency 10.0.0.1:80":                   Admin,
		"emergency /run/docker.sock":              Local,
		"abuse /run/docker.sock":                  Local,
		"listen 81":                               Admin,
		"listen 81 /tmp/socket":                   Local,
		"drain 1":                                 Operate,
		"close 1":                                 Operate,
		"hash":                                    Operate,
		"acl 1 permit 10.0.0.0/8":                 Admin,
		"debug 2":                                 Admin,
		"debug 3":                                 Local,
		"check http /health":                      Admin,
		"check redis":                             Admin,
		"check off":                               Admin,
		"no check":                                Admin,
		"check exec /bin/true":                    Local,
		"log /tmp/x":                              Local,
		"log 10.0.0.1:514":                        Local,
		"no log":                                  Local,
		"write":                                   Local,
		"include /etc/passwd":                     Local,
		"plan /etc/passwd":                        Local,
		"rollback":                                Local,
		"tls on ca /etc/passwd":                   Local,
		"service web tls on":                      Local,
		"service web server 0 weight 1":           Operate,
		"service web server 0 address /run/a.sock": Local,
		"control_level admin":                      Local,
		"no control_token":                         Local,
		"exit":                                     Admin,
	} {
		cmd, err := ParseLine(line)
		if err != nil {
			t.Errorf("%s: %v", line, err)
			continue
		}
		if got := cmd.Level(); got != want {
			t.Errorf("%s: needs %v, want %v", line, got, want)
		}
	}
}
