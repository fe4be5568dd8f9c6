package repolint

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strings"
	"testing"
)

// needsRoot are the functions of package testenv that need root.
var needsRoot = map[string]bool{"NeedRoot": true, "WithCaps": true, "NewNetns": true}

// The tests of packages that need root are named ...AsRoot, by which `make unit` leaves
// them out. They call what needs root themselves, not by a helper.
func TestNamesOfTestsThatNeedRoot(t *testing.T) {
	found := 0
	for dir, files := range goFiles(t) {
		if strings.HasPrefix(dir, "test/") {
			continue // whole programs: all of them are left out
		}
		for _, file := range files {
			if !strings.HasSuffix(file, "_test.go") {
				continue
			}
			f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, decl := range f.Decls {
				fn, ok := decl.(*ast.FuncDecl)
				if !ok || !callsRoot(fn) {
					continue
				}
				found++
				if name := fn.Name.Name; !strings.HasPrefix(name, "Test") || !strings.HasSuffix(name, "AsRoot") {
					t.Errorf("%s: %s needs root, want a name such as TestThisAsRoot", file, name)
				}
			}
		}
	}
	if found < 10 {
		t.Errorf("found only %d tests that need root", found)
	}
}

func callsRoot(fn *ast.FuncDecl) (calls bool) {
	ast.Inspect(fn, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok {
			switch f := call.Fun.(type) {
			case *ast.Ident:
				calls = calls || needsRoot[f.Name]
			case *ast.SelectorExpr:
				calls = calls || needsRoot[f.Sel.Name]
			}
		}
		return true
	})
	return calls
}
