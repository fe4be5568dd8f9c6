package repolint

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strings"
	"testing"
)

// A deadline is replaced by the next one and not taken away, but where the last
// phase that has one is over: a client that stalls in between would never end.
func TestDeadlinesAreReplaced(t *testing.T) {
	found := 0
	for _, files := range goFiles(t) {
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, decl := range f.Decls {
				n := takenAway(decl)
				if fn, ok := decl.(*ast.FuncDecl); ok && f.Name.Name == "edge" && strings.HasSuffix(fn.Name.Name, "Within") {
					found += n
				} else if n > 0 {
					t.Errorf("%s: a deadline is taken away, want edge.Within to do that", file)
				}
			}
		}
	}
	if found != 2 {
		t.Errorf("edge.Within and WriteWithin take deadlines away at %d places, want 2", found)
	}
}

// takenAway counts calls that set a deadline to the zero time.
func takenAway(decl ast.Node) (n int) {
	ast.Inspect(decl, func(node ast.Node) bool {
		call, ok := node.(*ast.CallExpr)
		if !ok || len(call.Args) != 1 {
			return true
		}
		name, ok := call.Fun.(*ast.SelectorExpr)
		if !ok || !strings.HasPrefix(name.Sel.Name, "Set") || !strings.HasSuffix(name.Sel.Name, "Deadline") {
			return true
		}
		if zero, ok := call.Args[0].(*ast.CompositeLit); ok && len(zero.Elts) == 0 {
			n++
		}
		return true
	})
	return n
}
