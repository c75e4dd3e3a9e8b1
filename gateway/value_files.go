package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"go.uber.org/zap"

	"github.com/sallyport/sallyport/policy"
)

// valueFile is a file with values of a rule: one a line, read again when it changes.
type valueFile struct {
	path   string // of its key in the configuration
	name   string // as it is written
	lies   string // where it is found
	values *policy.Values

	held   []byte // the text of the values
	last   []byte // what was read last
	failed string // what was said last about not taking it
}

const (
	// maxValueFile bounds what a file can make the gateway hold.
	maxValueFile = 64 << 20
	// valueFilePause is how long a change may go unseen. The file is read each time:
	// neither its time nor its size tells every change, and ConfigMaps change by a
	// link to another directory.
	valueFilePause = time.Second
)

var (
	errValueFileSize  = errors.New("the file is larger than 64 MiB")
	errValueFileEmpty = errors.New("the file is empty, and whoever emptied it may not have meant that: write a comment (#) into a list of nobody")
)

// load takes the values of the file for the first time.
func (f *valueFile) load() error {
	text, err := f.read()
	if err != nil {
		return err
	}
	return f.take(text)
}

func (f *valueFile) read() ([]byte, error) {
	file, err := os.Open(f.lies)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	text, err := io.ReadAll(io.LimitReader(file, maxValueFile+1))
	if err == nil && len(text) > maxValueFile {
		err = errValueFileSize
	}
	return text, err
}

func (f *valueFile) take(text []byte) error {
	if len(text) == 0 {
		return errValueFileEmpty // a disk that was full leaves such files behind
	}
	if err := f.values.SetText(string(text)); err != nil {
		return fmt.Errorf("%s: %w", f.name, err)
	}
	f.held = text
	return nil
}

// followValueFiles reads the files again and again until ctx ends.
func followValueFiles(ctx context.Context, files []*valueFile, log *zap.Logger) {
	tick := time.NewTicker(valueFilePause)
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

// follow takes what the file holds once two looks have found the same: a file that
// is being written is empty for a moment, and an empty list shuts nobody out. It
// says once what is wrong, and once that it is mended.
func (f *valueFile) follow(log *zap.Logger) {
	text, err := f.read()
	if err == nil {
		settled := bytes.Equal(text, f.last)
		f.last = text
		if !settled || bytes.Equal(text, f.held) && f.failed == "" {
			return
		}
		err = f.take(text)
	}
	if err != nil {
		if err.Error() != f.failed {
			f.failed = err.Error()
			log.Error("a file of values can't be taken, what it held before still counts", zap.String("key", f.path), zap.Error(err))
		}
		return
	}
	f.failed = ""
	log.Info("a file of values was read", zap.String("key", f.path), zap.Int("values", f.values.Len()))
}
