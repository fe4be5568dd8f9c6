package engine

// A Kind is what sort of error one is: errors.Is(err, engine.NotFound).
type Kind string

// The kinds of errors. Others are of this machine and its network, such as a file
// that can't be read or an address that is in use.
const (
	NotFound  Kind = "not found"             // a service, a server, a change to take back
	Invalid   Kind = "invalid"               // a command or configuration that can never work
	StartOnly Kind = "set at the start only" // a setting that a running Pen can't change
	Forbidden Kind = "forbidden"             // something that the configuration does not allow
	Stopping  Kind = "pen is stopping"       // nothing is changed any more
)

// Error returns the name of the kind.
func (k Kind) Error() string { return string(k) }

// Of returns err as an error of the kind, with the same text; nil stays nil.
func (k Kind) Of(err error) error {
	if err == nil {
		return nil
	}
	return kinded{err, k}
}

type kinded struct {
	error
	kind Kind
}

func (e kinded) Unwrap() []error { return []error{e.error, e.kind} }
