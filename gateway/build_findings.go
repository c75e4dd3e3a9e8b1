package gateway

import (
	"context"
	"errors"

	"github.com/sallyport/sallyport/gateway/config"
)

// findings are what the steps of a build find wrong.
type findings struct {
	cfg   *config.Config
	errs  []error
	other bool // something is wrong that is no fault of the configuration
}

func (f *findings) add(err error) {
	if err == nil {
		return
	}
	f.errs = append(f.errs, err)
	if _, ok := errors.AsType[config.Faults](f.cfg.Together(err)); !ok {
		f.other = true
	}
}

func (f *findings) any() bool { return len(f.errs) > 0 }

// all is the error of the build: config.Faults where nothing else is wrong.
func (f *findings) all() error { return f.cfg.Together(f.errs...) }

// opens reports whether the next configuration has the store opened, which one with
// faults shall not do.
func (c *core) opens() bool { return c.open && c.store == nil }

// everyFault returns what err says and what else is wrong with a configuration: steps
// that come after the store are tried without one.
func everyFault(ctx context.Context, cfg *config.Config, err error) error {
	if _, ok := errors.AsType[config.Faults](err); !ok {
		return err
	}
	return cfg.Together(err, Check(ctx, cfg))
}
