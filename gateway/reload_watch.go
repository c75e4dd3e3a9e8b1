package gateway

import (
	"context"
	"crypto/sha256"
	"io"
	"os"
	"strings"
	"time"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/followed"
)

const (
	// configPause is how long a change of the configuration may go unseen. Files are
	// read each time: ConfigMaps change by a link to another directory, which shows in
	// neither their time nor their size.
	configPause = time.Second
	// firstAgain and lastAgain are how soon a configuration that could not be taken is
	// tried again though it is the same: an address that was taken may be free by then.
	firstAgain, lastAgain = 5 * time.Second, 5 * time.Minute
)

// watch exchanges the configuration when what its files hold is other than before and
// has stayed so for two looks, until ctx ends.
func (g *Gateway) watch(ctx context.Context) {
	if !g.core.reloads.follows() {
		return
	}
	w := &configWatch{gateway: g}
	w.files.Hold(w.texts()...)
	tick := time.NewTicker(configPause)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			w.look(ctx)
		}
	}
}

// configWatch is for one goroutine.
type configWatch struct {
	gateway *Gateway
	files   followed.Files
	again   time.Time // what was refused is not tried before
	pause   time.Duration
}

// texts are the configuration file and those that are read when it is built. One that
// can't be read is as good as empty: a reload says so.
func (w *configWatch) texts() [][]byte {
	c := w.gateway.core
	return append(c.reloads.texts(), readOnce(c.now().cfg)...)
}

func (w *configWatch) look(ctx context.Context) {
	texts := w.texts()
	// Reload tells of what it refuses.
	change, _ := w.files.Look(texts, nil, func() error { return w.take(ctx, sum(texts...)) })
	if change == followed.Back {
		w.gateway.back()
	}
}

// take exchanges the configuration, unless another reload has, or the same was refused
// a moment before.
func (w *configWatch) take(ctx context.Context, this [sha256.Size]byte) error {
	r := &w.gateway.core.reloads
	r.mu.Lock()
	last, same := r.last, r.tried == this && !r.last.At.IsZero()
	r.mu.Unlock()
	switch {
	case same && last.Err == nil:
		return nil
	case !same:
		w.pause = firstAgain
	case w.pause == 0:
		w.pause, w.again = firstAgain, last.At.Add(firstAgain)
	}
	if same && time.Now().Before(w.again) {
		return last.Err
	}
	err := w.gateway.Reload(ctx, TriggerFile)
	w.again = time.Now().Add(w.pause)
	w.pause = min(2*w.pause, lastAgain)
	return err
}

// back says that the files hold again what is in use, after something that was refused.
func (g *Gateway) back() {
	r, now := &g.core.reloads, time.Now()
	r.mu.Lock()
	r.last = Reloaded{At: now, Trigger: TriggerFile}
	since := r.since
	r.mu.Unlock()
	g.core.metrics.ConfigurationLoaded(since)
	g.log.Named("reload").Info("the configuration file holds again what is in use")
}

// readOnce reads the files that are read when a configuration is built, and that
// nothing follows or reads again by itself.
func readOnce(c *config.Config) [][]byte {
	var texts [][]byte
	for _, f := range c.Files() {
		if isReadOnce(f.Path) {
			texts = append(texts, read(f.Name))
		}
	}
	return texts
}

func isReadOnce(path string) bool {
	key := path[strings.LastIndexByte(path, '.')+1:]
	if cut := strings.IndexByte(key, '['); cut >= 0 {
		key = key[:cut]
	}
	switch {
	case strings.HasPrefix(path, "policies["):
		return key == "ca_file" // of an authorizer
	case strings.HasPrefix(path, "server.tls.acme."):
		return true
	case strings.HasPrefix(path, "server.tls"), strings.HasPrefix(path, "ext_authz."), strings.HasPrefix(path, "routes["),
		strings.HasPrefix(path, "session."), strings.HasPrefix(path, "admin."), strings.HasPrefix(path, "assertions."):
		return false
	case key == "client_secret_file", key == "file", strings.HasPrefix(path, "allow."):
		return false
	}
	return true // ca_file, client_key_file, jwks_file, secret_file, logo_file
}

func read(name string) []byte {
	f, err := os.Open(name)
	if err != nil {
		return nil
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(io.LimitReader(f, maxFollowed+1))
	if err != nil {
		return nil
	}
	return text
}
