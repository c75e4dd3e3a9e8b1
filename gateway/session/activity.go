package session

import "time"

// Activity is what one gateway knows of when sessions were used, and of when its
// store could not be asked or told. It outlives Managers, so that none of it is lost
// between two. It is safe for concurrent use.
type Activity struct {
	toucher   *toucher
	unread    trouble // the store could not be read
	unwritten trouble // nor written, as a look at an idle session showed
}

// NewActivity starts an Activity over a store, which it does not own. failed hears of
// activity that could not be written, and may be nil.
func NewActivity(store Store, failed func(error)) *Activity {
	return &Activity{toucher: newToucher(store, touchInterval(time.Minute), failed)}
}

// Follow makes uses known to the store often enough for an idle timeout.
func (a *Activity) Follow(idleTimeout time.Duration) {
	if interval := touchInterval(idleTimeout); a.toucher.interval.Swap(int64(interval)) != int64(interval) {
		a.toucher.hurry()
	}
}

// Close writes the activity that is still to be written. The store stays open.
func (a *Activity) Close() { a.toucher.close() }
