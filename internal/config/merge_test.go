package config

import (
	"reflect"
	"testing"
	"time"

	"pen/internal/check"
)

func TestMerge(t *testing.T) {
	type lines []string
	for _, tt := range []struct {
		name                         string
		before, after, running, want lines
	}{
		{"nothing changed", lines{"blacklist 3"}, lines{"blacklist 3"}, lines{"blacklist 4", "hash"}, lines{"blacklist 4", "hash"}},
		{"a setting changed", lines{"blacklist 3"}, lines{"blacklist 5"}, lines{"blacklist 4", "timeout 9"}, lines{"blacklist 5", "timeout 9"}},
		{"a setting went", lines{"blacklist 3"}, nil, lines{"blacklist 3", "timeout 9"}, lines{"timeout 9"}},
		{"a flag came", nil, lines{"weight"}, lines{"hash"}, lines{"hash", "weight"}},
		{"text changed", lines{"web_stats a"}, lines{"web_stats b"}, lines{"web_stats c"}, lines{"web_stats b"}},
		{
			"a server came",
			lines{"server 0 address a port 1"},
			lines{"server 0 address a port 1", "server 1 address b port 1"},
			lines{"server 0 address a port 7"},
			lines{"server 0 address a port 7", "server 1 address b port 1"},
		},
		{
			"a server went",
			lines{"server 0 address a port 1", "server 1 address b port 1"},
			lines{"server 0 address a port 1"},
			lines{"server 0 address a port 1", "server 1 address b port 1 max 9"},
			lines{"server 0 address a port 1"},
		},
		{
			"one field",
			lines{"server 0 address a port 1 max 1"},
			lines{"server 0 address a port 1 max 2"},
			lines{"server 0 address a port 1 max 1 weight 5", "server 3 address c"},
			lines{"server 0 address a port 1 max 2 weight 5", "server 3 address c"},
		},
		{"one field of a removed server", lines{"server 0 address a port 1 max 1"}, lines{"server 0 address a port 1"}, nil, nil},
		{"another in place of a removed server", lines{"server 0 address a port 1"}, lines{"server 0 address b port 1"}, nil, lines{"server 0 address b port 1"}},
		{"a weight is unset", lines{"server 0 address a weight 0"}, lines{"server 0 address a"}, lines{"server 0 address a weight 0"}, lines{"server 0 address a"}},
		{"emergency", lines{"emergency a:1"}, lines{"emergency b:1"}, lines{"emergency a:1:5", "abuse c"}, lines{"emergency b:1:5", "abuse c"}},
		{"emergency went", lines{"emergency a:1"}, nil, lines{"emergency a:1"}, nil},
		{"same list", lines{"acl 1 permit ::1"}, lines{"acl 1 permit ::1"}, lines{"acl 1 permit ::2"}, lines{"acl 1 permit ::2"}},
		{
			"a list changed",
			lines{"acl 1 permit ::1", "acl 1 permit ::2"},
			lines{"acl 1 permit ::2", "acl 1 permit ::3"},
			lines{"acl 1 permit ::1", "acl 1 permit ::2", "acl 1 permit ::9"},
			lines{"acl 1 permit ::2", "acl 1 permit ::3", "acl 1 permit ::9"},
		},
		{
			"an entry removed at run time",
			lines{"acl 1 permit ::1", "acl 1 permit ::2"},
			lines{"acl 1 permit ::1", "acl 1 permit ::2", "acl 1 permit ::3"},
			lines{"acl 1 permit ::2"},
			lines{"acl 1 permit ::2", "acl 1 permit ::3"},
		},
		{"added in both", nil, lines{"acl 1 permit ::1"}, lines{"acl 1 permit ::1"}, lines{"acl 1 permit ::1"}},
		{
			"countries",
			lines{"acl 1 permit country SE", "acl 1 permit country DE", "geoip_db a"},
			lines{"acl 1 permit country SE", "acl 1 permit country NO", "geoip_db b"},
			lines{"acl 1 permit country DE", "acl 1 permit country FR", "acl 1 permit ::1", "geoip_db a"},
			lines{"acl 1 permit country NO", "acl 1 permit country FR", "acl 1 permit ::1", "geoip_db b"},
		},
		{"a list went", lines{"acl 1 permit ::1"}, nil, lines{"acl 1 permit ::1"}, nil},
	} {
		running := apply(t, Default(), tt.running...)
		got := Merge(apply(t, Default(), tt.before...), apply(t, Default(), tt.after...), running)
		if want := apply(t, Default(), tt.want...); !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\ngot  %+v\nwant %+v", tt.name, got, want)
		}
		if !reflect.DeepEqual(running, apply(t, Default(), tt.running...)) {
			t.Errorf("%s: the running Config was changed", tt.name)
		}
	}
}

// Every field of a Global and of a Service is merged, also those that are
// added one day.
func TestMergeKnowsEveryField(t *testing.T) {
	base := apply(t, Default(), "service web")
	for i := range reflect.TypeFor[Global]().NumField() {
		after := apply(t, Default(), "service web")
		setSomething(t, reflect.TypeFor[Global]().Field(i).Name, reflect.ValueOf(&after.Global).Elem().Field(i))
		if got := Merge(base, after, base); !reflect.DeepEqual(got, after) {
			t.Errorf("%s is not merged", reflect.TypeFor[Global]().Field(i).Name)
		}
	}
	more := apply(t, Default(), "service web", "service another")
	if got := Merge(base, more, base); !reflect.DeepEqual(got, more) {
		t.Error("a new service is not merged")
	}
	for i := range reflect.TypeFor[Service]().NumField() {
		name := reflect.TypeFor[Service]().Field(i).Name
		if name == "Name" {
			continue // it is what services are found by
		}
		first, second := apply(t, Default(), "service web"), apply(t, Default(), "service web")
		setSomething(t, name, reflect.ValueOf(&first.Services[0]).Elem().Field(i))
		setSomething(t, name, reflect.ValueOf(&second.Services[1]).Elem().Field(i))
		for _, after := range []Config{first, second} {
			if got := Merge(base, after, base); !reflect.DeepEqual(got, after) {
				t.Errorf("%s is not merged:\n%+v\n%+v", name, got, after)
			}
		}
	}
}

func setSomething(t *testing.T, name string, field reflect.Value) {
	switch v := field.Addr().Interface().(type) {
	case *[]Server:
		*v = []Server{{Host: "a"}}
		return
	case *Server:
		v.Host = "a"
		return
	case *[ACLCount][]ACLEntry:
		v[3] = []ACLEntry{{Permit: true}}
		return
	case *Outlier:
		v.Max = time.Hour
		return
	case *check.Spec:
		v.Kind = check.TCP
		return
	case *Limits:
		v.Bandwidth = 1
		return
	case *ControlTokens:
		v.Admin = "f"
		return
	case *TLS:
		v.More = []Certificate{{Cert: "f"}}
		return
	case *ServerTLS:
		v.On = true
		return
	case *SendProxy:
		v.Version = 2
		return
	case *[]Route:
		*v = []Route{{By: "default", Service: "web"}}
		return
	case *float64:
		*v = 1.5
		return
	}
	switch field.Kind() {
	case reflect.Bool:
		field.SetBool(true)
	case reflect.Int, reflect.Int64:
		field.SetInt(12345)
	case reflect.String:
		field.SetString("x")
	default:
		t.Errorf("%s: a field of kind %s", name, field.Kind())
	}
}
