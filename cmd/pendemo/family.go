package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"syscall"
	"time"
)

const (
	answerLimit = 20 * time.Second // for Pen to start
	endLimit    = 5 * time.Second  // for a child to exit on TERM
)

// A family is the started processes, in order. The goroutine that starts them must keep its
// thread: the children die with it.
type family struct{ children []*child }

type child struct {
	cmd   *exec.Cmd
	ended chan struct{} // closed when it has ended, and cmd.ProcessState is set
}

func (f *family) start(cmd *exec.Cmd) (*child, error) {
	cmd.SysProcAttr = childAttr()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	c := &child{cmd: cmd, ended: make(chan struct{})}
	f.children = append(f.children, c)
	go func() {
		cmd.Wait() // the result is in ProcessState
		close(c.ended)
	}()
	return c, nil
}

// startServer starts this program again as one of the web servers.
func (f *family) startServer(name string, ln *net.TCPListener) error {
	file, err := ln.File()
	if err != nil {
		return err
	}
	defer file.Close()
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), serverEnv+"="+name)
	cmd.ExtraFiles = []*os.File{file}
	cmd.Stderr = os.Stderr
	_, err = f.start(cmd)
	return err
}

func (f *family) startPen(program string, args []string, out *os.File) (*child, error) {
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = out, os.Stderr
	return f.start(cmd)
}

// end stops all children, the last one first, and waits for them.
func (f *family) end() {
	for i := len(f.children) - 1; i >= 0; i-- {
		c := f.children[i]
		c.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-c.ended:
		case <-time.After(endLimit):
			c.cmd.Process.Kill()
			<-c.ended
		}
	}
}

var pidInAnswer = regexp.MustCompile(`pid (\d+)`)

// firstAnswer waits until a server answers through Pen, and returns its pid.
func firstAnswer(ctx context.Context, listen string, pen *child) (pid string, err error) {
	limit := time.After(answerLimit)
	for {
		answer, err := get(ctx, "http://"+listen+"/")
		if found := pidInAnswer.FindStringSubmatch(answer); err == nil && found != nil {
			return found[1], nil
		}
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-pen.ended:
			return "", fmt.Errorf("%s has ended: %v", pen.cmd.Path, pen.cmd.ProcessState)
		case <-limit:
			return "", fmt.Errorf("no server answers through Pen on %s: %v", listen, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// get fetches a page over a new connection.
func get(ctx context.Context, url string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, answerLimit)
	defer cancel()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	response, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<16))
	return string(body), err
}
