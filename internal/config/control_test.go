package config

import (
	"fmt"
	"io"
	"io/fs"
	"strings"
	"testing"
)

// A control port that other machines reach needs a token, or a list.
func TestCheckControl(t *testing.T) {
	for _, tt := range []struct {
		lines string
		ok    bool
	}{
		{"", true},
		{"control /run/pen.ctl", true},
		{"control 8888", true},
		{"control 127.0.0.1:8888", true},
		{"control 127.1.2.3:8888", true},
		{"control ::1:8888", true},
		{"control [::1]:8888", true},
		{"control localhost:8888", true},
		{"control 0.0.0.0:8888", false},
		{"control :8888", false},
		{"control :::8888", false},
		{"control [::]:8888", false},
		{"control 192.0.2.1:8888", false},
		{"control localhost.example.com:8888", false},
		{"control 0.0.0.0:8888;acl 0 permit 10.0.0.0/8", false}, // that of clients
		{"control 0.0.0.0:8888;control_acl 1", false},
		{"control 0.0.0.0:8888;control_acl 1;acl 1 permit 10.0.0.0/8", true},
		{"control 0.0.0.0:8888;control_acl 1;acl 1 permit 10.0.0.0/8;no acl 1", false},
		{"control 0.0.0.0:8888;control_level view", false},
		{"control 0.0.0.0:8888;control_token admin /t", true},
		{"control 0.0.0.0:8888;control_token admin /t;no control_token", false},
		{"control 0.0.0.0:8888;control_token admin /t;control_level view", false}, // everybody may look
	} {
		c := Default()
		if tt.lines != "" {
			c = apply(t, c, strings.Split(tt.lines, ";")...)
		}
		if err := c.CheckControl(); (err == nil) != tt.ok {
			t.Errorf("%s: %v", tt.lines, err)
		}
	}
}

func TestControlDefault(t *testing.T) {
	for lines, want := range map[string]Level{
		"control 8888":                             Operate,
		"control_level view":                       View,
		"control_level admin":                      Admin,
		"control_token operate /t":                 0,
		"control_token view /t;control_level view": View,
		"control_level admin;no control_level":     Operate,
	} {
		if got := apply(t, Default(), strings.Split(lines, ";")...).ControlDefault(); got != want {
			t.Errorf("%s: %v, want %v", lines, got, want)
		}
	}
}

func TestCheckPrograms(t *testing.T) {
	file := apply(t, Default(), "check exec /a interval 5", "service web", "service web check exec /b")
	for lines, ok := range map[string]bool{
		"check tcp":                      true,
		"check exec /a":                  true,
		"check exec /b":                  true,
		"check exec /bin/sh":             false,
		"service web check exec /bin/sh": false,
	} {
		if err := apply(t, file, lines).CheckPrograms(Default(), file); (err == nil) != ok {
			t.Errorf("%s: %v", lines, err)
		}
	}
}

// What is in a file that is no configuration stays in it.
func TestUnquoted(t *testing.T) {
	files := map[string]string{
		"shadow": "root:$6$salt$Hash0:19000:0:99999:7:::\nno Hash1\nservice Hash2 Hash3\nHash4 Hash5\n\x00Hash6\n",
		"verbs":  "blacklist Hash0\nserver Hash1 address Hash2\nserver 0 address Hash3:Hash4\nacl 1 permit Hash5\ninclude Hash6\ncheck Hash7\nno Hash8 Hash9\n",
		"known":  "service a\nno service Hash0\nserver Hash1 weight 3\nenable Hash2\nservice Hash3 timeout 3\nroute default Hash4 x\nlisten #Hash5\n",
		"long":   strings.Repeat("Hash0", 5000),
		"loop":   "include loop\ninclude ./loop\n",
		"many":   strings.Repeat("Hash0 Hash1\n", 2000),
	}
	open := func(name string) (io.ReadCloser, error) {
		text, ok := files[name]
		if !ok {
			return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
		}
		return io.NopCloser(strings.NewReader(text)), nil
	}
	for name := range files {
		_, _, err := ReadUnquoted(Default(), DefaultService, name, open)
		if err == nil || strings.Contains(err.Error(), "Hash") || len(err.Error()) > 2000 {
			t.Errorf("%s: %v", name, err)
		}
		if _, _, err := ReadFile(Default(), DefaultService, name, open); err == nil || name != "loop" && !strings.Contains(err.Error(), "Hash") && name != "long" {
			t.Errorf("%s at the start: %v", name, err)
		}
	}
	if _, _, err := ReadUnquoted(Default(), DefaultService, "nowhere", open); fmt.Sprint(err) != "open nowhere: file does not exist" {
		t.Error(err)
	}
	for i, want := range []string{"verbs:1: blacklist: this line is not right", "verbs:5: include: this file can't be opened"} {
		if _, _, err := ReadUnquoted(Default(), DefaultService, "verbs", open); !strings.Contains(err.Error(), want) {
			t.Errorf("%d: %v", i, err)
		}
	}
}
