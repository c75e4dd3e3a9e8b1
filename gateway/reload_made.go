package gateway

import (
	"crypto/sha256"

	"go.uber.org/zap"

	"github.com/sallyport/sallyport/gateway/config"
)

// FollowMade is FollowFile for a configuration that is made from several files, as in
// development: made is called again when what they hold has changed.
func (g *Gateway) FollowMade(files []string, made func() (*config.Config, error), level zap.AtomicLevel) {
	g.core.reloads.made, g.core.reloads.of, g.core.reloads.level = made, files, level
}

// follows reports whether the configuration can be exchanged at all.
func (r *reloads) follows() bool { return r.file != "" || r.made != nil }

// texts are what the configuration is read from. A file that can't be read is as good
// as empty: a reload says so.
func (r *reloads) texts() [][]byte {
	if r.made == nil {
		return [][]byte{read(r.file)}
	}
	texts := make([][]byte, len(r.of))
	for i, file := range r.of {
		texts[i] = read(file)
	}
	return texts
}

// make is read for a configuration that is made.
func (r *reloads) make(inUse *config.Config) (*config.Config, [sha256.Size]byte, error) {
	texts := r.texts()
	cfg, err := r.made()
	if err != nil {
		return nil, sum(append(texts, readOnce(inUse)...)...), err
	}
	return cfg, sum(append(texts, readOnce(cfg)...)...), nil
}
