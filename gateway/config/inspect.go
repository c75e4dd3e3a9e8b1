package config

import "strings"

// Given tells whether the key at path was written, in the file or in the
// environment, however empty its value.
func (c *Config) Given(path string) bool {
	if c.source.short {
		path = shortPath(path)
	}
	return c.source.given(path)
}

// FromEnvironment tells whether the value at path, or the list that holds it, was
// set by an environment variable.
func (c *Config) FromEnvironment(path string) bool {
	return strings.HasPrefix(c.source.place(path).file, environmentPlace)
}

// Source is the name of the file that was read.
func (c *Config) Source() string { return c.source.file }

// LoopbackHost tells whether a host, without a port, is this machine: localhost, a
// name below it, 127.0.0.0/8 or ::1.
func LoopbackHost(host string) bool { return loopbackHost(host) }

// LocalListen tells whether only this machine can reach a listen address. Of a
// socket that systemd opens nobody knows, and it answers false.
func LocalListen(listen string) bool { return localListen(listen) }
