package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// maxKeysFile bounds what is taken for a file of keys.
const maxKeysFile = 64 << 10

func readKeysFile(file string) (string, error) {
	info, err := os.Stat(file)
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() || info.Size() > maxKeysFile {
		return "", fmt.Errorf("%s is not a file of keys", file)
	}
	text, err := os.ReadFile(file)
	return string(text), err
}

// replaceFile exchanges what a file holds in one step, so that a gateway that reads
// it at this moment finds the one or the other. Its mode stays, and its owner where
// there are owners. A link stays one.
func replaceFile(file, text string) (err error) {
	if file, err = filepath.EvalSymlinks(file); err != nil {
		return err
	}
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+"-*") // for nobody else to read
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close(), os.Remove(f.Name()))
		}
	}()
	if err := keepOwner(f, info); err != nil {
		return err
	}
	if err := f.Chmod(info.Mode().Perm()); err != nil {
		return err
	}
	if _, err := f.WriteString(text); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), file)
}
