package listener

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/coreos/go-systemd/v22/activation"

	"github.com/sallyport/sallyport/gateway/config"
)

// Binder opens listen addresses. It is for one goroutine.
type Binder struct {
	inherited []*os.File // of systemd, that nobody has taken yet
}

// NewBinder takes over the sockets that systemd has opened for this process, if it
// has (sd_listen_fds). There is one Binder in a process.
func NewBinder() *Binder { return &Binder{inherited: activation.Files(true)} }

// Open opens an address of the form that config.ParseListen reads. It can be several
// sockets where systemd opens them. After an error none is open.
func (b *Binder) Open(ctx context.Context, listen string) ([]net.Listener, error) {
	at, err := config.ParseListen(listen)
	if err != nil {
		return nil, fmt.Errorf("%q %w", listen, err)
	}
	var lc net.ListenConfig
	switch at.Network {
	case config.SystemdSocket:
		return b.take(at.Address)
	case "unix":
		l, err := bindUnix(ctx, &lc, at)
		if err != nil {
			return nil, err
		}
		return []net.Listener{l}, nil
	}
	l, err := lc.Listen(ctx, at.Network, at.Address)
	if err != nil {
		return nil, explained(err)
	}
	return []net.Listener{l}, nil
}

// explained says with an address that can't be had what to do.
func explained(err error) error {
	for why, fix := range map[error]string{
		syscall.EADDRINUSE:    "another program, perhaps another gateway, listens there: end it (ss -ltnp shows it), or choose another address",
		syscall.EADDRNOTAVAIL: "this machine has no such address: ip address shows those that it has",
		syscall.EACCES:        "ports below 1024 are not for everybody: choose another one, or let systemd open it",
	} {
		if errors.Is(err, why) {
			return fmt.Errorf("%w: %s", err, fix)
		}
	}
	return err
}

// Close closes the inherited sockets that were not asked for, and returns their
// names: clients of them would wait for an answer that never comes.
func (b *Binder) Close() (unused []string) {
	for _, f := range b.inherited {
		unused = append(unused, f.Name())
		_ = f.Close()
	}
	b.inherited = nil
	return unused
}

// take returns the inherited sockets of a name, or all where there is one name only.
func (b *Binder) take(name string) ([]net.Listener, error) {
	names := map[string]bool{}
	for _, f := range b.inherited {
		names[f.Name()] = true
	}
	switch {
	case len(names) == 0:
		return nil, errors.New("systemd has passed no socket: enable the socket unit and start that, not the service")
	case name == "" && len(names) > 1:
		return nil, fmt.Errorf("systemd has passed sockets of several names: write one of systemd:%s", strings.Join(sorted(names), ", systemd:"))
	case name != "" && !names[name]:
		return nil, fmt.Errorf("systemd has passed no socket with FileDescriptorName=%s, only %s", name, strings.Join(sorted(names), ", "))
	}
	var out []net.Listener
	var kept []*os.File
	var errs []error
	for _, f := range b.inherited {
		if name != "" && f.Name() != name {
			kept = append(kept, f)
			continue
		}
		l, err := net.FileListener(f) // a duplicate
		if err = errors.Join(err, f.Close()); err != nil {
			errs = append(errs, fmt.Errorf("the socket %s of systemd is none that can be listened on (ListenStream=): %w", f.Name(), err))
			continue
		}
		out = append(out, l)
	}
	b.inherited = kept
	if len(errs) > 0 {
		for _, l := range out {
			errs = append(errs, l.Close())
		}
		return nil, errors.Join(errs...)
	}
	return out, nil
}

func sorted(names map[string]bool) []string {
	list := make([]string, 0, len(names))
	for name := range names {
		list = append(list, name)
	}
	slices.Sort(list)
	return list
}

// bindUnix makes a socket in the file system. Closing the listener removes it.
func bindUnix(ctx context.Context, lc *net.ListenConfig, at config.ListenAddress) (net.Listener, error) {
	gid := -1
	if at.Group != "" {
		var err error
		if gid, err = groupID(at.Group); err != nil {
			return nil, err
		}
	}
	if err := removeStaleSocket(ctx, at.Address); err != nil {
		return nil, err
	}
	l, err := lc.Listen(ctx, "unix", at.Address)
	if err != nil {
		return nil, err
	}
	if gid >= 0 {
		err = os.Chown(at.Address, -1, gid)
	}
	if err == nil {
		err = os.Chmod(at.Address, at.Mode) // last: it opens the socket for others
	}
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

func groupID(name string) (int, error) {
	g, err := user.LookupGroup(name)
	if err != nil {
		if id, notNumber := strconv.Atoi(name); notNumber == nil {
			return id, nil
		}
		return 0, fmt.Errorf("group %s: %w", name, err)
	}
	return strconv.Atoi(g.Gid)
}

// removeStaleSocket removes a socket that nobody listens on any more.
func removeStaleSocket(ctx context.Context, path string) error {
	info, err := os.Lstat(path)
	if err != nil || info.Mode()&os.ModeSocket == 0 {
		return nil //nolint:nilerr // nothing stale is there; listening will say what is wrong
	}
	var d net.Dialer
	c, err := d.DialContext(ctx, "unix", path)
	if err == nil {
		return errors.Join(fmt.Errorf("%s: another process listens on it", path), c.Close())
	}
	return os.Remove(path)
}
