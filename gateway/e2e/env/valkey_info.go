//go:build e2e

package env

import (
	"strconv"
	"strings"
)

// DBSize counts the keys.
func (v *Valkey) DBSize() int {
	v.t.Helper()
	n, err := strconv.Atoi(v.Do("DBSIZE"))
	if err != nil {
		v.t.Fatal(err)
	}
	return n
}

// CommandCalls counts how often a command was called since the server was
// started: "get", or "client|list" for a subcommand.
func (v *Valkey) CommandCalls(command string) int {
	v.t.Helper()
	stats := v.Info("commandstats")["cmdstat_"+strings.ToLower(command)]
	calls, _, _ := strings.Cut(strings.TrimPrefix(stats, "calls="), ",")
	n, _ := strconv.Atoi(calls) // absent: never called
	return n
}

// UsedMemory is how many bytes the server has allocated.
func (v *Valkey) UsedMemory() int64 {
	v.t.Helper()
	n, err := strconv.ParseInt(v.Info("memory")["used_memory"], 10, 64)
	if err != nil {
		v.t.Fatal(err)
	}
	return n
}

// Info returns the fields of a section of INFO.
func (v *Valkey) Info(section string) map[string]string {
	v.t.Helper()
	return fields(v.Do("INFO", section))
}

// fields reads lines of name:value.
func fields(text string) map[string]string {
	all := map[string]string{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			all[name] = value
		}
	}
	return all
}
