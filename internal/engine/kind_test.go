package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"testing"
)

// A kind changes neither the text of an error nor what it was before.
func TestKindOfAnError(t *testing.T) {
	err := fmt.Errorf("web: %w", NotFound.Of(fmt.Errorf("server 7: %w", fs.ErrNotExist)))
	if err.Error() != "web: server 7: file does not exist" {
		t.Errorf("text: %q", err)
	}
	if !errors.Is(err, NotFound) || !errors.Is(err, fs.ErrNotExist) || errors.Is(err, Invalid) {
		t.Errorf("%#v is not what it should be", err)
	}
	var kind Kind
	if !errors.As(err, &kind) || kind != NotFound {
		t.Errorf("kind %q", kind)
	}
	if Invalid.Of(nil) != nil {
		t.Error("no error became one")
	}
}
