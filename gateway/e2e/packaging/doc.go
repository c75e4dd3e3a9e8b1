//go:build e2e

// Package packaging holds the tests of the ways in which Sallyport is installed:
// the image of deploy/container, the composition of deploy/compose and the units
// of deploy/systemd. Each test uses the files as they are delivered.
package packaging
