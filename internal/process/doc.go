// Package process is what Pen is to the operating system: a program in the
// background, with a pid file, a user, a log and a limit of descriptors. It
// knows nothing of traffic. It is for Unix systems.
package process
