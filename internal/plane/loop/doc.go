// Package loop is the data plane of event loops, for Linux: one for each core,
// which accepts, connects, fails over and moves bytes, and never blocks on one
// connection.
//
// A connection is a record of fixed size without pointers, and two descriptors.
// It has no goroutine, no buffer and no pipe while it is idle. Bytes are read
// into the loop's one buffer and written at once. What the other side does not
// take is kept, and nothing more is read until it has gone. Bulk goes through a
// pipe, without a copy into the program.
//
// Each descriptor is registered once with epoll(7), edge-triggered and for
// everything, so that a message costs one read and one write.
package loop
