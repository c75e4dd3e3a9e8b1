//go:build e2e

package env

import "syscall"

// Kill ends the process without warning, as a machine that fails does.
func (p *Process) Kill() {
	p.t.Helper()
	if err := p.cmd.Process.Kill(); err != nil {
		p.t.Errorf("kill %s: %v", p.name, err)
	}
	<-p.done
}

// Freeze stops the process until Thaw, as a machine does that is overloaded.
func (p *Process) Freeze() { p.signal(syscall.SIGSTOP) }

// Thaw lets the process go on.
func (p *Process) Thaw() { p.signal(syscall.SIGCONT) }

func (p *Process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Errorf("%v to %s: %v", s, p.name, err)
	}
}
