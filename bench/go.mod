module pen/bench

go 1.26.0

require (
	golang.org/x/sys v0.50.0
	pen v0.0.0
)

replace pen => ../
