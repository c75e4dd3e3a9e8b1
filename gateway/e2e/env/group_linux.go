//go:build e2e

package env

import (
	"errors"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// ownGroup begins a process group: npm, dev servers and the like start processes that
// outlive them, and hold their output open. What is in a group of its own hears no
// interrupt of the terminal, so the kernel ends it with the tests.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// waitForGroup returns when a process has ended, and ends what is left of its group. The
// process is waited for last: until then its id, which the group has, is no other's.
func waitForGroup(cmd *exec.Cmd) error {
	for {
		err := unix.Waitid(unix.P_PID, cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	return cmd.Wait()
}
