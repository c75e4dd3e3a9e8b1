// Package e2e runs the built gateway with real components, as its users would:
// a browser, an OpenID provider, a legacy application. Its tests have the build
// tag e2e and need what `make test` installs.
package e2e
