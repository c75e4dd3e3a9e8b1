// Package sealing owns how the key ring of the sessions changes while gateways
// run: where its secrets come from, which of them seals, who among the gateways of
// a store knows which, and when one may go.
//
// A secret that seals before every gateway can open what it seals would sign
// people out. So gateways tell one another in the store which keys they know, and
// each seals with the first of its keys that all of them know.
//
// What is sealed and signed, and what of the sessions needs a key, is package
// session's.
package sealing

import (
	"errors"
	"fmt"
	"time"

	"github.com/sallyport/sallyport/gateway/session"
)

const (
	// lookAtFiles is how long a change of a file may go unseen.
	lookAtFiles = time.Second
	// lookAtOthers is how often a gateway looks what the others know.
	lookAtOthers = 3 * time.Second
	// tellAgain is how often a gateway says that it is still there.
	tellAgain = 20 * time.Second
	// goneAfter is when a gateway that was silent no longer counts.
	goneAfter = time.Minute
	// callLimit bounds one look at the store, or one change.
	callLimit = 5 * time.Second
	// remembered is how long the ledger knows of a key that nobody has any more.
	remembered = 400 * 24 * time.Hour
	// maxKeys bounds a ring that the store keeps: finding a key is linear.
	maxKeys = 8
)

var (
	// ErrFiles says that the keys are files, which operators exchange.
	ErrFiles = errors.New("sealing: the keys are files")
	// ErrUnknownKey says that no key of the ring has that name.
	ErrUnknownKey = errors.New("sealing: the ring has no such key")
	// ErrSeals says that the key seals, at the gateway that is named.
	ErrSeals = errors.New("sealing: the key seals")
	// ErrCrowded says that old keys must be retired before there is a new one.
	ErrCrowded = errors.New("sealing: the ring is full")
)

// NeededError says that a key can't be retired yet.
type NeededError struct {
	Use   session.KeyUse
	Until time.Time // when nothing needs it any more, at the latest
}

func (e *NeededError) Error() string {
	return fmt.Sprintf("sealing: the key is needed until %s, by %d sessions", e.Until.UTC().Format(time.RFC3339), e.Use.Sessions)
}

// FileError says which of the files can't be used.
type FileError struct {
	Index int
	Err   error
}

func (e *FileError) Error() string { return e.Err.Error() }

// Unwrap returns what is wrong with it.
func (e *FileError) Unwrap() error { return e.Err }

// State is what a key is for.
type State string

// The states.
const (
	StateCurrent State = "current" // it seals
	StateNext    State = "next"    // it has never sealed: not all gateways know it yet
	StateOld     State = "old"     // it has sealed, and opens
)

// Key is one key, without its secret.
type Key struct {
	Name    session.KeyName
	State   State
	File    string    // where it is; empty when the store keeps it
	Since   time.Time // when it was made, or first seen
	Stopped time.Time // when it last sealed; zero while it seals, or has never
	Until   time.Time // when nothing needs it any more, at the latest; zero for others than old ones
	Here    bool      // this gateway knows it
}

// Gateway is one gateway of the store, and what it knows.
type Gateway struct {
	Name  string // of the host, and of the process
	Knows []session.KeyName
	Seals session.KeyName
	Seen  time.Time
	Self  bool
}
