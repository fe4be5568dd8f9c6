// Package repolint holds the tests of the repository itself: which package may import
// which, what pure packages may use, that documents and manual pages are true, and that
// generated files are current. They run no program of Pen's and need none of others.
package repolint
