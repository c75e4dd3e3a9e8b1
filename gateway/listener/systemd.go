package listener

import (
	"context"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"go.uber.org/zap"
)

// Notifier tells systemd how the process is (sd_notify). Without a systemd that
// wants to know, it does nothing.
type Notifier struct{ log *zap.Logger }

// NewNotifier makes a Notifier that logs what it can't tell.
func NewNotifier(log *zap.Logger) *Notifier { return &Notifier{log: log} }

// Ready says that clients can connect, as units of Type=notify wait for.
func (n *Notifier) Ready() { n.send(daemon.SdNotifyReady) }

// Reloading says that another configuration is being read, until Ready says that it is
// done (sd_notify(3), Type=notify-reload).
func (n *Notifier) Reloading() {
	n.send(daemon.SdNotifyReloading + "\n" + daemon.SdNotifyMonotonicUsec())
}

// Stopping says that the end has begun.
func (n *Notifier) Stopping() { n.send(daemon.SdNotifyStopping) }

func (n *Notifier) send(state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		n.log.Warn("systemd could not be told", zap.String("state", state), zap.Error(err))
	}
}

// Watch says twice in each WatchdogSec= that the process gets to do something, until
// ctx ends.
func (n *Notifier) Watch(ctx context.Context) {
	interval, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		n.log.Warn("the watchdog of systemd can't be fed", zap.Error(err))
	}
	if err != nil || interval <= 0 {
		return
	}
	tick := time.NewTicker(interval / 2)
	defer tick.Stop()
	for {
		n.send(daemon.SdNotifyWatchdog)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
