package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"time"
)

// serverEnv is the variable with the name of the web server that this process must run.
const serverEnv = "PENDEMO_SERVER"

// listenerFD is the descriptor of a web server's listener: the first after the standard
// three.
const listenerFD = 3

// serve replies to every request with one line, until a signal ends the process.
func serve(name string) int {
	ln, err := net.FileListener(os.NewFile(listenerFD, "listener"))
	if err != nil {
		fmt.Fprintf(os.Stderr, "pendemo: %s: %v\n", name, err)
		return 1
	}
	server := http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, "%s, pid %d, asked by %s\n", name, os.Getpid(), r.RemoteAddr)
		}),
		ReadTimeout:  10 * time.Second,
		WriteTimeout: 10 * time.Second,
		IdleTimeout:  10 * time.Second,
	}
	err = server.Serve(ln)
	fmt.Fprintf(os.Stderr, "pendemo: %s: %v\n", name, err)
	return 1
}
