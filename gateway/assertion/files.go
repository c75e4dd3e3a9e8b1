package assertion

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/sallyport/sallyport/gateway/jose"
)

// FilesOptions are what NewFiles needs.
type FilesOptions struct {
	Files []string
	// Read returns the content of a file. It is called again at every look.
	Read func(file string) ([]byte, error)
	Log  *zap.Logger // nil logs nothing
}

// FileError says which of the files is wrong.
type FileError struct {
	Index int
	Err   error
}

// Error says what is wrong; it never shows content.
func (e *FileError) Error() string { return e.Err.Error() }

// Unwrap returns what is wrong.
func (e *FileError) Unwrap() error { return e.Err }

// NewFiles returns the ring of PEM private keys in files: the first signs, all
// are published. It reads them at once; a *FileError says which one is wrong.
// Run sees when they change; files that are wrong then change nothing.
func NewFiles(o FilesOptions) (*Ring, error) {
	r := newRing(&files{paths: o.Files, read: o.Read}, o.Log)
	if err := r.Refresh(context.Background()); err != nil {
		return nil, err
	}
	return r, nil
}

// files is used by one goroutine at a time.
type files struct {
	paths    []string
	read     func(string) ([]byte, error)
	contents [][]byte
	made     *view // of contents
}

func (f *files) rotate(context.Context, time.Time, bool) error { return ErrFiles }

func (f *files) retire(context.Context, time.Time, string, bool) error { return ErrFiles }

func (f *files) load(context.Context, time.Time) (*view, error) {
	contents := make([][]byte, len(f.paths))
	for i, path := range f.paths {
		var err error
		if contents[i], err = f.read(path); err != nil {
			return nil, &FileError{i, err}
		}
	}
	if f.made != nil && slices.EqualFunc(contents, f.contents, bytes.Equal) {
		return f.made, nil
	}
	v := &view{}
	signers := make([]*jose.Signer, 0, len(contents))
	for i, content := range contents {
		s, err := fileSigner(content)
		if err != nil {
			return nil, &FileError{i, err}
		}
		if slices.ContainsFunc(v.keys, func(k Key) bool { return k.ID == s.KeyID() }) {
			return nil, &FileError{i, fmt.Errorf("holds the same key as another file")}
		}
		state := StatePublished
		if i == 0 {
			v.signer, state = s, StateCurrent
		}
		signers = append(signers, s)
		v.keys = append(v.keys, Key{ID: s.KeyID(), Algorithm: s.Algorithm(), State: state})
	}
	if err := v.publish(signers); err != nil {
		return nil, err
	}
	f.contents, f.made = contents, v
	return v, nil
}

func fileSigner(content []byte) (*jose.Signer, error) {
	key, err := jose.ParsePrivateKey(content)
	if err != nil {
		return nil, err
	}
	s, err := jose.NewThumbprintSigner(key)
	if err != nil {
		return nil, err
	}
	if alg := s.Algorithm(); alg != AlgorithmES256 && alg != AlgorithmEdDSA {
		return nil, fmt.Errorf("holds a key for %s, where P-256 (%s) and Ed25519 (%s) are used", alg, AlgorithmES256, AlgorithmEdDSA)
	}
	return s, nil
}
