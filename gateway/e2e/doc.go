// Package e2e runs the built gateway with real components, as its users would:
// a browser, an OpenID provider, a legacy application. Its tests have the build
// tag e2e and need what `make test` installs.
//
// Tests that mostly wait are parallel. One that measures time, or sends as much as it
// can, is not: it would fail for what others do, or make them fail. Pictures of pages
// are taken with go test -artifacts alone.
package e2e
