package valkeystore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/valkey-io/valkey-go"

	"github.com/sallyport/sallyport/gateway/session"
)

// Class is what became of a call, for metrics: a closed set.
type Class string

// The classes. All but answered and canceled are outages.
const (
	ClassAnswered    Class = "answered"
	ClassTimeout     Class = "timeout"     // no answer within the deadline
	ClassConnection  Class = "connection"  // no connection, or it broke
	ClassRefused     Class = "refused"     // the server answered with an error
	ClassUnavailable Class = "unavailable" // not tried: it did not answer before
	ClassCanceled    Class = "canceled"    // whoever asked went away
)

var (
	errConnecting  = &stepError{StepConnect, errors.New("not connected yet")}
	errUnavailable = errors.New("session store: does not answer; not asked again yet")
	errDeadline    = errors.New("session store: no answer in time")
)

// breakerCount divides the slots of a cluster, so that one shard which is down
// fails alone. Elsewhere there is one slot.
const breakerCount = 64

const clusterSlots = 16384

func (s *Store) breaker(c valkey.Client, h handle) *breaker {
	if c.Mode() != valkey.ClientModeCluster {
		return &s.breakers[0]
	}
	question := c.B().Exists().Key(s.layout.session(h)).Build()
	return &s.breakers[int(question.Slot())%clusterSlots*breakerCount/clusterSlots]
}

// call runs one exchange with Valkey and returns what it says. The deadline is
// kept here and not by the client, which can wait in places that know none. run
// may go on for a moment after that; it holds nothing that anybody waits for.
//
// A caller that goes away gets its context's error, and the exchange goes on:
// others may wait for it, and what was begun to be written is better written.
func call[T any](ctx context.Context, s *Store, operation string, h handle, run func(context.Context, valkey.Client) (T, error)) (T, error) {
	var zero T
	begin := time.Now()
	if err := ctx.Err(); err != nil {
		s.observe(ctx, operation, 0, ClassCanceled)
		return zero, fmt.Errorf("session store: %s: %w", operation, err)
	}
	client := s.client.Load()
	if client == nil {
		s.observe(ctx, operation, 0, ClassUnavailable)
		return zero, errUnavailable
	}
	b := s.breaker(client, h)
	if b.open() {
		s.observe(ctx, operation, 0, ClassUnavailable)
		return zero, errUnavailable
	}

	deadline, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.Timeout)
	select {
	case s.slots <- struct{}{}:
	case <-deadline.Done():
		cancel()
		s.observe(ctx, operation, time.Since(begin), ClassTimeout)
		return zero, errDeadline
	case <-ctx.Done():
		cancel()
		s.observe(ctx, operation, time.Since(begin), ClassCanceled)
		return zero, fmt.Errorf("session store: %s: %w", operation, ctx.Err())
	}
	type result struct {
		value T
		err   error
	}
	answer := make(chan result, 1)
	go func() {
		defer cancel()
		value, err := run(deadline, client)
		err = s.dialer.discreet(err)
		<-s.slots
		class := classOf(err)
		if operation != opWait { // a replica that does not follow is no fault of the primary
			s.judge(b, h, class, err)
		}
		s.judgeWrite(operation, class, err)
		s.observe(ctx, operation, time.Since(begin), class)
		answer <- result{value, err}
	}()
	select {
	case r := <-answer:
		return r.value, wrap(operation, r.err)
	case <-ctx.Done():
		return zero, fmt.Errorf("session store: %s: %w", operation, ctx.Err())
	case <-deadline.Done():
	}
	// Both may be there at once, and an answer is an answer.
	select {
	case r := <-answer:
		return r.value, wrap(operation, r.err)
	default:
		return zero, errDeadline
	}
}

// wrap passes the definite answers on as they are.
func wrap(operation string, err error) error {
	if err == nil || errors.Is(err, session.ErrNotFound) || errors.Is(err, session.ErrConflict) {
		return err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return errDeadline
	}
	return fmt.Errorf("session store: %s: %w", operation, err)
}

// judge tells the breaker what became of a call.
func (s *Store) judge(b *breaker, h handle, class Class, err error) {
	switch class {
	case ClassAnswered:
		b.succeeded()
		if s.faulty.Load() && !s.anyOpen() {
			s.setFault(nil)
		}
	case ClassRefused:
		// Quick to say no: nothing to be spared. But an operator should know.
		b.succeeded()
		switch step := stepOf(err); {
		case step == StepRole:
			// Behind a name or an address that leads to another server by now, the
			// one that was demoted would never be left.
			s.complain(err)
			s.renew(b, nil)
		case step == StepWrite || step == StepPermissions || notServing(err):
			s.complain(err)
		}
	case ClassTimeout, ClassConnection:
		if b.failed() {
			s.setFault(legible(err))
			s.watch(b, h)
		}
	case ClassUnavailable, ClassCanceled:
	}
}

// legible words what an operator reads.
func legible(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return errDeadline
	}
	return err
}

// judgeWrite notes whether the server takes writes: one that is out of memory
// answers reads as if nothing were.
func (s *Store) judgeWrite(operation string, class Class, err error) {
	switch operation {
	case "create", "update", "delete", "touch", "index", "bury", "save_record", "publish":
	default:
		return
	}
	switch {
	case class == ClassAnswered && s.unwritable.Load():
		if s.unwritable.Swap(false) {
			s.log.Info("the session store takes writes again")
		}
	case class == ClassRefused && (stepOf(err) == StepWrite || stepOf(err) == StepRole):
		s.unwritable.Store(true)
	}
}

func (s *Store) anyOpen() bool {
	for i := range s.breakers {
		if s.breakers[i].open() {
			return true
		}
	}
	return false
}

// watch probes while a breaker is open, so that everything works again as soon
// as the store does, and not when somebody has asked in vain.
func (s *Store) watch(b *breaker, h handle) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.background.Go(func() {
		for wait := firstWait; b.open(); wait = min(2*wait, maxWait) {
			select {
			case <-s.done:
				return
			case <-time.After(wait):
			}
			s.probe(b, h)
		}
	})
}

// probe asks the store for a sign of life. It may have to connect first, which
// takes several round trips where a call takes one, and whoever asked for that is
// who bounds it: so it has more time than a call, and then has to show that a
// call's is enough.
func (s *Store) probe(b *breaker, h handle) {
	begin, c := time.Now(), s.client.Load()
	silent := time.AfterFunc(s.cfg.Timeout, func() { s.renew(b, &h) })
	defer silent.Stop()
	err := s.exists(c, h, max(dialTimeout, s.cfg.Timeout))
	if err == nil && time.Since(begin) > s.cfg.Timeout {
		begin = time.Now()
		err = s.exists(c, h, s.cfg.Timeout)
	}
	class := classOf(err)
	s.observe(context.Background(), "probe", time.Since(begin), class)
	s.probed(b, h, class, err)
}

func (s *Store) probed(b *breaker, h handle, class Class, err error) {
	switch {
	case class == ClassAnswered || class == ClassRefused && !notServing(err):
		s.judge(b, h, class, err)
	case !s.faulty.Load():
		// A call that succeeded while others opened the breaker may have had the
		// last word.
		s.setFault(legible(err))
	}
}

// exists asks for a session within a deadline that it keeps itself, as call does.
func (s *Store) exists(client valkey.Client, h handle, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	answer := make(chan error, 1)
	go func() {
		answer <- client.Do(ctx, client.B().Exists().Key(s.layout.session(h)).Build()).Error()
	}()
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func classOf(err error) Class {
	switch {
	case err == nil, errors.Is(err, session.ErrNotFound), errors.Is(err, session.ErrConflict), valkey.IsValkeyNil(err):
		return ClassAnswered
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, errDeadline):
		return ClassTimeout
	case errors.Is(err, context.Canceled):
		return ClassCanceled
	}
	if _, said := errors.AsType[*valkey.ValkeyError](err); said {
		return ClassRefused
	}
	return ClassConnection
}

// notServing reports whether the server's answer means that it can serve nobody
// now: it loads, has no primary, or is one no more.
func notServing(err error) bool {
	said, ok := errors.AsType[*valkey.ValkeyError](err)
	if !ok {
		return false
	}
	return said.IsLoading() || said.IsClusterDown() || stepOf(said) == StepRole || stepOf(said) == StepAuth
}
