package app

import (
	"fmt"
	"log/slog"
	"syscall"
	"testing"

	"pen/internal/config"
)

// A change costs what the service costs that it concerns, however many others
// there are.
func BenchmarkChange(b *testing.B) {
	for _, n := range []int{1, 100} {
		b.Run(fmt.Sprintf("services=%d", n), func(b *testing.B) {
			args := []string{}
			for i := range n {
				s := fmt.Sprintf("service s%d", i)
				args = append(args, "-O", s, "-O", s+" balance maglev")
				for j := range 100 {
					args = append(args, "-O", fmt.Sprintf("%s server %d address 10.0.%d.%d port 80", s, j, i, j))
				}
			}
			inv, errs := config.ParseArgs(append(args, "127.0.0.1:0", "127.0.0.1:1"), Open)
			if errs != nil {
				b.Fatal(errs)
			}
			a, err := New(inv, Options{Log: slog.New(slog.DiscardHandler), SetDebug: func(int) {}})
			if err != nil {
				b.Fatal(err)
			}
			defer a.Stop(0)
			if err := a.Start(); err != nil {
				b.Fatal(err)
			}
			i, before := 0, cpuTime(b)
			for b.Loop() {
				i++
				cmd, err := config.ParseLine(fmt.Sprintf("service s0 server 3 weight %d", 1+i%2))
				if err == nil {
					err = a.Apply(cmd)
				}
				if err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(cpuTime(b)-before)/1e6/float64(i), "cpu-ms/op") // on a busy machine it says more
		})
	}
}

// cpuTime is what the process has used of processors, in nanoseconds.
func cpuTime(b *testing.B) int64 {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}
