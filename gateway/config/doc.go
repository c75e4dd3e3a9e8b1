// Package config reads the configuration: one YAML file with the environment
// over it. It owns the schema, the defaults, and every check that one can make
// by looking at the configuration and at the files that it names. It reports
// all faults at once, each with its line, its path and what to write instead.
//
// It leaves to others what it takes a parser or a connection to find out:
// policies, certificates, key sets, account files and providers are compiled in
// package gateway, which reports what it finds there through [Config.Fault].
// Secrets in files are checked here and read by whoever needs them, with
// [ReadSecret], so that a changed file is read again.
//
// A *Config from [Load] is read-only and so safe for concurrent use.
package config
