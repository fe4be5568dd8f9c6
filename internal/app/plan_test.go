package app

import (
	"reflect"
	"strings"
	"testing"

	"pen/internal/config"

	"pgregory.net/rapid"
)

// What plan says of a file is what HUP then does: it refuses what HUP refuses,
// names changes where there are some, and none afterwards. Only what the system
// refuses, such as an address that another program has, is seen by HUP alone.
func TestPlanSaysWhatReloadDoes(t *testing.T) {
	servers := []string{named(t, "one"), named(t, "two")}
	line := rapid.Custom(func(t *rapid.T) string {
		server := "server " + rapid.SampledFrom([]string{"0", "1", "0-1"}).Draw(t, "slot") + " "
		key := rapid.SampledFrom([]string{"weight 3", "max 7", "state drain", "remove", "address 127.0.0.1", "port " + portOf(servers[1])}).Draw(t, "key")
		return rapid.SampledFrom([]string{
			"timeout 9", "timeout 5", "hash", "no hash", "balance maglev", "tracking 60", "server 0 name x",
			"acl 1 permit 10.0.0.0/8", "client_acl 1", "conn_max 100", "queue 2s", "foreground on", "exit_enabled on",
			"listen 127.0.0.1:0 127.0.0.2:0", "transparent", "plane loop", "user nobody", "no listen", "nonsense", "service web", "service web\nlisten 127.0.0.1:0", "emergency 127.0.0.1:1", server + key,
		}).Draw(t, "line")
	})
	saw := map[string]int{}
	rapid.Check(t, func(rt *rapid.T) {
		base := "listen 127.0.0.1:0\nserver 0 address 127.0.0.1 port " + portOf(servers[0]) + "\n"
		file := newConfFile(t, base)
		inv, errs := config.ParseArgs([]string{"-F", file.name}, Open)
		if len(errs) > 0 {
			rt.Fatal(errs)
		}
		a, err := New(inv, quiet(t))
		if err == nil {
			err = a.Start()
		}
		if err != nil {
			rt.Fatal(err)
		}
		defer a.Stop(0)
		for range 3 {
			text := base + strings.Join(rapid.SliceOfN(line, 0, 4).Draw(rt, "lines"), "\n") + "\n"
			file.write(text)
			if set := rapid.SampledFrom([]string{"", "timeout 30", "conn_max 77", "hash", "server 1 address 127.0.0.1 port 2"}).Draw(rt, "set"); set != "" {
				if err := a.Apply(command(t, set)); err != nil {
					rt.Fatal(err)
				}
			}
			before := a.Config()
			said, planned := ask(t, a, "plan "+file.name)
			if !reflect.DeepEqual(a.Config(), before) {
				rt.Fatalf("plan changes something:\n%s", text)
			}
			reloaded := a.Reload()
			if (planned == nil) != (reloaded == nil) {
				rt.Fatalf("plan says %v, HUP %v, of\n%s", planned, reloaded, text)
			}
			if planned != nil {
				saw["refused"]++
				if !reflect.DeepEqual(a.Config(), before) {
					rt.Fatalf("what was refused changes something:\n%s", text)
				}
				continue
			}
			same := config.Diff(before, a.Config(), nil) == nil
			if strings.HasPrefix(said, "nothing changes\n") != same {
				rt.Fatalf("plan says %q of\n%s\nand HUP changes %q", said, text, config.Diff(before, a.Config(), nil))
			}
			if same {
				saw["same"]++
			} else {
				saw["changed"]++
			}
			if again, err := ask(t, a, "plan "+file.name); err != nil || !strings.HasPrefix(again, "nothing changes\n") {
				rt.Fatalf("after HUP, plan says %q, %v, of\n%s", again, err, text)
			}
		}
	})
	for _, what := range []string{"refused", "same", "changed"} {
		if saw[what] == 0 {
			t.Errorf("saw %v, want some of each", saw)
		}
	}
}
