//go:build e2e && !linux

package env

import (
	"os/exec"
	"syscall"
)

// ownGroup begins a process group.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// waitForGroup returns when a process has ended, and ends what is left of its group.
func waitForGroup(cmd *exec.Cmd) error {
	err := cmd.Wait()
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	return err
}
