package main

import "time"

// standardOffset is how many seconds this machine's standard time is east of
// UTC. C Pen takes the web servers' times for local ones, and -t makes up for
// that: with the offset of its own zone, as its manual says, nothing is to be
// shifted.
func standardOffset() int64 {
	for _, month := range []time.Month{time.January, time.July} {
		if t := time.Date(time.Now().Year(), month, 1, 0, 0, 0, 0, time.Local); !t.IsDST() {
			_, seconds := t.Zone()
			return int64(seconds)
		}
	}
	return 0
}
