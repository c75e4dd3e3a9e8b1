package listener

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// Change is other options for an open Group, prepared so that nothing can fail any
// more. Commit or Discard ends it.
type Change struct {
	group  *Group
	o      Options
	places []place
	opened []*socket
}

// place is a socket and the listener of the configuration that it is of.
type place struct {
	socket *socket
	index  int
}

// Prepare opens the addresses that are not open yet. Those that are stay so, whatever
// else changes about them. The error names the key of the configuration, and nothing
// has changed after it. One goroutine changes a Group at a time.
func (g *Group) Prepare(ctx context.Context, b *Binder, o Options) (*Change, error) {
	if o.Refused == nil {
		o.Refused = func(string) {}
	}
	o.Log, o.Context, o.Handler, o.Redirect = g.o.Log, g.o.Context, g.o.Handler, g.o.Redirect
	c := &Change{group: g, o: o}
	g.mu.Lock()
	open := slices.Clone(g.sockets)
	g.mu.Unlock()
	for i, l := range o.Server.AllListeners() {
		if found := takeOut(&open, l.Listen); len(found) > 0 {
			for _, s := range found {
				c.places = append(c.places, place{s, i})
			}
			continue
		}
		sockets, err := b.Open(ctx, l.Listen)
		if err != nil {
			key := "server.listen"
			if len(o.Server.Listeners) > 0 {
				key = fmt.Sprintf("server.listeners[%d].listen", i)
			}
			return nil, errors.Join(&BindError{key, err}, c.Discard())
		}
		for _, one := range sockets {
			s := &socket{Listener: one, gate: g.gate, closed: make(chan struct{})}
			c.opened = append(c.opened, s)
			c.places = append(c.places, place{s, i})
		}
	}
	return c, nil
}

// BindError is an address of the configuration that could not be opened.
type BindError struct {
	Key string
	Err error
}

func (e *BindError) Error() string { return e.Key + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *BindError) Unwrap() error { return e.Err }

// takeOut takes the sockets of an address out of those that are open. systemd can
// have passed several for one.
func takeOut(open *[]*socket, listen string) (found []*socket) {
	var listener string
	*open = slices.DeleteFunc(*open, func(s *socket) bool {
		l := s.door.Load().listener
		if l.Listen != listen || len(found) > 0 && l.Name != listener {
			return false
		}
		listener = l.Name
		found = append(found, s)
		return true
	})
	return found
}

// Discard closes what was opened for the change.
func (c *Change) Discard() error {
	var errs []error
	for _, s := range c.opened {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}

// Commit makes the options count for the connections that come from now on. Those
// that are there stay as they are, those of addresses that are gone too.
func (c *Change) Commit() {
	g := c.group
	g.mu.Lock()
	defer g.mu.Unlock()
	g.gate.slots.SetLimit(c.o.Server.Limits.MaxConnections)
	g.exchange(&c.o)
	all := c.o.Server.AllListeners()
	doors := make([]*door, len(all))
	gone := g.sockets
	g.sockets = make([]*socket, len(c.places))
	for i, p := range c.places {
		if doors[p.index] == nil {
			doors[p.index] = g.newDoor(&c.o, p.index)
		}
		p.socket.door.Store(doors[p.index])
		g.sockets[i] = p.socket
	}
	for _, s := range gone {
		if !slices.Contains(g.sockets, s) {
			_ = s.Close() // it takes nobody any more, whatever else it says
		}
	}
	if g.serving {
		g.accept(c.opened)
	}
}

func (g *Group) newDoor(o *Options, index int) *door {
	l := o.Server.AllListeners()[index]
	d := &door{listener: l, server: g.main, saturated: o.Saturated, log: g.o.Log.Named(l.Name)}
	if l.ProxyProtocol {
		p := &proxied{trusted: o.Trusted, timeout: o.Server.Limits.ReadHeaderTimeout, refused: o.Refused, log: d.log}
		d.wrap = p.wrap
	}
	switch {
	case l.RedirectHTTPS:
		d.server = g.turner
	case !l.Plain:
		d.tls = o.TLS
	}
	return d
}

// exchange makes other servers where the limits are others. The former ones keep
// their connections. The lock is held.
func (g *Group) exchange(o *Options) {
	g.former = slices.DeleteFunc(g.former, func(s *server) bool { return s.held.Load() == 0 })
	if l := limitsOf(&o.Server); g.main == nil || l != g.limits {
		was := []*server{g.main, g.turner}
		g.limits, g.main, g.turner = l, g.newServer(o, g.o.Handler, "public"), g.newServer(o, g.o.Redirect, "redirect")
		if was[0] != nil {
			was[0].next.Store(g.main)
			was[1].next.Store(g.turner)
			for _, s := range was {
				_ = s.Close() // it never fails
			}
			g.former = append(g.former, was...)
		}
		if g.serving {
			g.serve(g.main, g.turner)
		}
	}
}
