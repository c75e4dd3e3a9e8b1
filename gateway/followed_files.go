package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"go.uber.org/zap"

	"github.com/sallyport/sallyport/gateway/followed"
)

// followedFile is a file that the configuration names and that is read again when
// it changes: values of a rule, or credentials.
type followedFile struct {
	path string // of its key in the configuration
	name string // as it is written
	lies string // where it is found

	// take puts what the file holds in the place of what it held, and says how many
	// entries that is. With an error nothing changes; it repeats no secret.
	take func(text []byte) (entries int, err error)

	files   followed.Files
	entries int // of what was taken last
}

const (
	// maxFollowed bounds what a file can make the gateway hold.
	maxFollowed = 64 << 20
	// followPause is how long a change may go unseen. The file is read each time:
	// neither its time nor its size tells every change, and ConfigMaps change by a
	// link to another directory.
	followPause = time.Second
)

var (
	errFollowedSize  = errors.New("the file is larger than 64 MiB")
	errFollowedEmpty = errors.New("the file is empty, and whoever emptied it may not have meant that: write a comment (#) into a list of nobody")
)

// load takes what the file holds for the first time.
func (f *followedFile) load() error {
	text, err := f.read()
	if err != nil {
		return err
	}
	if err := f.accept(text); err != nil {
		return err
	}
	f.files.Hold(text)
	return nil
}

func (f *followedFile) read() ([]byte, error) {
	file, err := os.Open(f.lies)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	text, err := io.ReadAll(io.LimitReader(file, maxFollowed+1))
	if err == nil && len(text) > maxFollowed {
		err = errFollowedSize
	}
	return text, err
}

func (f *followedFile) accept(text []byte) error {
	if len(text) == 0 {
		return errFollowedEmpty // a disk that was full leaves such files behind
	}
	entries, err := f.take(text)
	if err != nil {
		return fmt.Errorf("%s: %w", f.name, err)
	}
	f.entries = entries
	return nil
}

// followFiles reads the files again and again until ctx ends.
func followFiles(ctx context.Context, files []*followedFile, log *zap.Logger) {
	tick := time.NewTicker(followPause)
	defer tick.Stop()
	for len(files) > 0 {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for _, f := range files {
			f.follow(log)
		}
	}
}

// follow takes what the file holds once it is settled: one that is being written is
// empty for a moment, and an empty list shuts nobody out. It says once what is wrong,
// and once that it is mended.
func (f *followedFile) follow(log *zap.Logger) {
	text, err := f.read()
	change, err := f.files.Look([][]byte{text}, err, func() error { return f.accept(text) })
	switch {
	case err != nil:
		log.Error("a file can't be taken, what it held before still counts", zap.String("key", f.path), zap.Error(err))
	case change != followed.Same:
		log.Info("a file was read again", zap.String("key", f.path), zap.Int("entries", f.entries))
	}
}
