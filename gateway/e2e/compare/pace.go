//go:build e2e && linux

package compare

import (
	"encoding/binary"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// pace sends count moments, every so long, each when it has come. The channel never
// blocks it, so that the pace does not depend on who receives. The timers of Go's
// runtime would come up to a millisecond late on a core that is idle; the kernel's
// does not.
func pace(every time.Duration, count int) (<-chan time.Time, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("timerfd: %w", err)
	}
	interval := unix.NsecToTimespec(every.Nanoseconds())
	start := time.Now()
	if err := unix.TimerfdSettime(fd, 0, &unix.ItimerSpec{Interval: interval, Value: interval}, nil); err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("timerfd: %w", err)
	}
	timer := os.NewFile(uintptr(fd), "timer")
	due := make(chan time.Time, count)
	go func() {
		defer close(due)
		defer func() { _ = timer.Close() }()
		var expired [8]byte
		for sent := 0; sent < count; {
			if _, err := timer.Read(expired[:]); err != nil {
				return
			}
			for range binary.NativeEndian.Uint64(expired[:]) {
				if sent++; sent > count {
					return
				}
				due <- start.Add(time.Duration(sent) * every)
			}
		}
	}()
	return due, nil
}
