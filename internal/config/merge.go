package config

import (
	"reflect"
	"slices"
)

// Merge applies to the running Config what has changed in a file: before and
// after are what the file meant when it was last read and what it means now.
// Where they differ, after is taken; everything else stays as it is running.
// The unit is a setting of a service, a field of a server, an entry of an
// access list.
func Merge(before, after, running Config) Config {
	out := running
	out.own()
	mergeFields(reflect.ValueOf(before.Global), reflect.ValueOf(after.Global), reflect.ValueOf(&out.Global).Elem())
	for i := range out.ACLs {
		out.ACLs[i] = mergeList(before.ACLs[i], after.ACLs[i], running.ACLs[i])
	}
	out.Services = mergeServices(before, after, out.Services)
	return out
}

// mergeServices merges services by their names. Those that came or went do so
// as a whole; one that was ended at run time stays away.
func mergeServices(before, after Config, running []Service) []Service {
	var out []Service
	runs := Config{Services: running}
	for _, s := range running {
		was, is := before.Service(s.Name), after.Service(s.Name)
		switch {
		case was == nil && is != nil:
			s = *is
		case was != nil && is == nil:
			continue
		case was != nil:
			s = mergeService(*was, *is, s)
		}
		out = append(out, s)
	}
	for _, s := range after.Services {
		if before.Service(s.Name) == nil && runs.Service(s.Name) == nil {
			out = append(out, s)
		}
	}
	return out
}

// mergeService merges the settings of one service. running owns its table.
func mergeService(before, after, running Service) Service {
	out := running
	mergeFields(reflect.ValueOf(before), reflect.ValueOf(after), reflect.ValueOf(&out).Elem())
	out.Emergency = mergeEmergency(before.Emergency, after.Emergency, running.Emergency)
	out.Abuse = mergeServer(before.Abuse, after.Abuse, running.Abuse)
	for slot := range max(len(before.Servers), len(after.Servers)) {
		out.setServer(slot, mergeServer(before.server(slot), after.server(slot), out.server(slot)))
	}
	return out
}

// mergeFields takes the simple fields of a struct, and groups of them as one.
func mergeFields(before, after, out reflect.Value) {
	for i := range out.NumField() {
		switch out.Field(i).Interface().(type) {
		case Server, []Server, [ACLCount][]ACLEntry:
			continue // they are merged by their parts
		}
		if !reflect.DeepEqual(before.Field(i).Interface(), after.Field(i).Interface()) {
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

// mergeEmergency merges servers of last resort by their places.
func mergeEmergency(before, after, running []Server) []Server {
	if slices.Equal(before, after) {
		return running
	}
	out := slices.Clone(after)
	for i := range min(len(before), len(after), len(running)) {
		out[i] = mergeServer(before[i], after[i], running[i])
	}
	return out
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
