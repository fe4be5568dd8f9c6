package main

import "time"

// standardOffset is how many seconds this machine's standard time is east of UTC. C Pen
// reads the web servers' times as local ones, and -t corrects that: with the offset of the
// machine's own zone, as C Pen's manual says, nothing is shifted.
func standardOffset() int64 {
	for _, month := range []time.Month{time.January, time.July} {
		if t := time.Date(time.Now().Year(), month, 1, 0, 0, 0, 0, time.Local); !t.IsDST() {
			_, seconds := t.Zone()
			return int64(seconds)
		}
	}
	return 0
}
