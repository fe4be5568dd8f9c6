// Package splice moves bytes between sockets without waiting: by reads and writes, and
// for bulk through pipes, which it lends. Both planes of connections use it. Outside
// Linux there are no pipes, and the planes copy.
package splice

import "time"

const (
	// SmallSplice is the least that is worth a pipe: a direction whose splices move
	// less goes back to copying, which takes two system calls as well.
	SmallSplice = 16 << 10
	// A pipe that was not emptied by SlowBytes within StuckTime is wanted back: take
	// out what is in it, and return it.
	StuckTime = time.Second
	SlowBytes = 32 << 10
)

// A Lender has the descriptors of the process, of which connections come first.
// *dispatch.Dispatcher is one.
type Lender interface {
	// BorrowSpare takes n descriptors unless few are left. ample says that there
	// are so many that some may be kept for later.
	BorrowSpare(n int) (ok, ample bool)
	// GiveBack returns n descriptors.
	GiveBack(n int)
}
