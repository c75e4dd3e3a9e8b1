//go:build e2e && linux

package compare

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// cores are the two that a comparison uses. On a machine with one they are the same,
// and the figures are of little worth.
type cores struct{ proxies, load int }

// takeCores picks the cores and binds this process to that of the load.
func takeCores(tb testing.TB) cores {
	tb.Helper()
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		tb.Fatal(err)
	}
	var all []int
	for cpu := 0; cpu < len(set)*64 && len(all) < set.Count(); cpu++ {
		if set.IsSet(cpu) {
			all = append(all, cpu)
		}
	}
	c := cores{proxies: all[len(all)-1], load: all[0]}
	procs := runtime.GOMAXPROCS(1)
	bindThreads(tb, c.load)
	tb.Cleanup(func() {
		bindThreads(tb, all...)
		runtime.GOMAXPROCS(procs)
	})
	return c
}

// bindThreads binds the threads of this process, and so those that they start.
func bindThreads(tb testing.TB, cpus ...int) {
	tb.Helper()
	var set unix.CPUSet
	for _, cpu := range cpus {
		set.Set(cpu)
	}
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		tb.Fatal(err)
	}
	for _, thread := range threads {
		id, err := strconv.Atoi(thread.Name())
		if err != nil {
			tb.Fatal(err)
		}
		if err := unix.SchedSetaffinity(id, &set); err != nil && !errors.Is(err, unix.ESRCH) {
			tb.Fatal(err)
		}
	}
}

// tick is the unit of times in /proc: USER_HZ, which is 100 on every architecture
// that Go runs on.
const tick = 10 * time.Millisecond

// cpuTime is what processes and their children have used, in user and system mode.
func cpuTime(tb testing.TB, pids []int) time.Duration {
	tb.Helper()
	var ticks uint64
	for _, pid := range withChildren(tb, pids) {
		fields, err := procStat(pid)
		if err != nil {
			tb.Fatal(err)
		}
		for _, field := range fields[11:13] { // utime, stime
			n, err := strconv.ParseUint(field, 10, 64)
			if err != nil {
				tb.Fatal(err)
			}
			ticks += n
		}
	}
	return time.Duration(ticks) * tick
}

// withChildren adds the processes that these have started, such as nginx's worker.
func withChildren(tb testing.TB, pids []int) []int {
	tb.Helper()
	all, err := os.ReadDir("/proc")
	if err != nil {
		tb.Fatal(err)
	}
	family := slices.Clone(pids)
	for _, entry := range all {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		fields, err := procStat(pid)
		if err != nil {
			continue // it has ended meanwhile
		}
		for _, parent := range pids {
			if fields[1] == strconv.Itoa(parent) {
				family = append(family, pid)
			}
		}
	}
	return family
}

// procStat returns the fields of /proc/PID/stat that follow the name: state, ppid
// and so on.
func procStat(pid int) ([]string, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil, err
	}
	// The name may hold anything, also spaces and parentheses.
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) < 13 {
		return nil, fmt.Errorf("/proc/%d/stat: %q", pid, text)
	}
	return fields, nil
}
