package config

import (
	"reflect"
	"slices"
)

// Merge applies to the running Config what has changed in a file: before and
// after are what the file meant when it was last read and what it means now.
// Where they differ, after is taken; everything else stays as it is running.
// The unit is a setting, a field of a server, an entry of an access list.
func Merge(before, after, running Config) Config {
	out := running
	out.own()
	mergeFields(reflect.ValueOf(before), reflect.ValueOf(after), reflect.ValueOf(&out).Elem())
	out.Emergency = mergeServer(before.Emergency, after.Emergency, running.Emergency)
	out.Abuse = mergeServer(before.Abuse, after.Abuse, running.Abuse)
	for slot := range max(len(before.Servers), len(after.Servers)) {
		out.setServer(slot, mergeServer(before.server(slot), after.server(slot), out.server(slot)))
	}
	for i := range out.ACLs {
		out.ACLs[i] = mergeList(before.ACLs[i], after.ACLs[i], running.ACLs[i])
	}
	return out
}

// mergeFields takes the simple fields of a struct.
func mergeFields(before, after, out reflect.Value) {
	for i := range out.NumField() {
		switch out.Field(i).Kind() {
		case reflect.Slice, reflect.Array, reflect.Struct:
			continue
		}
		if !before.Field(i).Equal(after.Field(i)) {
			out.Field(i).Set(after.Field(i))
		}
	}
}

// mergeServer merges one slot. A server that came or went does so as a whole,
// and so does one that takes the place of one removed at run time.
func mergeServer(before, after, running Server) Server {
	if before.Used() != after.Used() || before.Host != after.Host && !running.Used() {
		return after
	}
	mergeFields(reflect.ValueOf(before), reflect.ValueOf(after), reflect.ValueOf(&running).Elem())
	return running
}

// mergeList merges one access list. If the file's has changed, it is followed
// by the entries that were added at run time; those removed at run time stay
// away.
func mergeList(before, after, running []ACLEntry) []ACLEntry {
	if slices.Equal(before, after) {
		return running
	}
	was, is, runs := setOf(before), setOf(after), setOf(running)
	var out []ACLEntry
	for _, e := range after {
		if !was[e] || runs[e] {
			out = append(out, e)
		}
	}
	for _, e := range running {
		if !was[e] && !is[e] {
			out = append(out, e)
		}
	}
	return out
}

func setOf(list []ACLEntry) map[ACLEntry]bool {
	set := make(map[ACLEntry]bool, len(list))
	for _, e := range list {
		set[e] = true
	}
	return set
}
