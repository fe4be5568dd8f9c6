//go:build !linux

package splice

// Pipes are not used here: all bytes are copied.
type Pipes struct{}

// Join returns the pipes for a plane that starts: none.
func Join(Lender) *Pipes { return nil }

// Leave does nothing.
func (*Pipes) Leave() {}

// Hold does nothing.
func (*Pipes) Hold(int) {}

// WasReset can't tell, here, a reset whose error is gone.
func WasReset(int32) bool { return false }

// Unsent does not know, here, how many bytes are on their way.
func Unsent(int32) int { return 0 }
