package auditlog

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/sallyport/sallyport/gateway/config"
)

// file is the stream in a file. One that is full gets the number of its last record
// into its name, so that the order of names is the order of records.
type file struct {
	cfg  config.AuditFileOutput
	f    *os.File
	size int64
}

// openFile opens the file to go on with it, and returns its last record, or that of
// the newest full one. It is nil where there is none.
func openFile(cfg config.AuditFileOutput) (*file, *record, error) {
	f, err := os.OpenFile(cfg.Path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, nil, err
	}
	// A second writer would break the chain.
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("%s is in use by another gateway: give each one a file of its own", cfg.Path), f.Close())
	}
	whole, err := cutOff(f)
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	o := &file{cfg: cfg, f: f, size: whole}
	last, err := lastRecord(f, whole)
	if err == nil && last == nil {
		if full := o.full(); len(full) > 0 {
			last, err = lastOf(full[len(full)-1])
		}
	}
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return o, last, nil
}

// cutOff removes a line without an end, which a crash leaves, and returns the size.
func cutOff(f *os.File) (int64, error) {
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return 0, err
	}
	whole, tail := size, make([]byte, 1<<10)
	for whole > 0 {
		n := min(int64(len(tail)), whole)
		if _, err := f.ReadAt(tail[:n], whole-n); err != nil {
			return 0, err
		}
		if end := bytes.LastIndexByte(tail[:n], '\n'); end >= 0 {
			whole -= n - int64(end) - 1
			break
		}
		whole -= n
	}
	if whole == size {
		return size, nil
	}
	return whole, f.Truncate(whole)
}

// maxRecord bounds a record in bytes; fields are cut off long before.
const maxRecord = 64 << 10

// lastRecord reads the record at the end of a file of whole lines.
func lastRecord(f *os.File, size int64) (*record, error) {
	n := min(size, maxRecord)
	tail := make([]byte, n)
	if _, err := f.ReadAt(tail, size-n); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	tail = bytes.TrimRight(tail, "\n")
	if len(tail) == 0 {
		return nil, nil //nolint:nilnil // an empty file has no record
	}
	r, err := parse(tail[bytes.LastIndexByte(tail, '\n')+1:])
	if err != nil {
		return nil, fmt.Errorf("%s ends with what is no audit record (%w): move it away", f.Name(), err)
	}
	return r, nil
}

func lastOf(path string) (*record, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // it was only read
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	return lastRecord(f, info.Size())
}

// full are the files that are full, oldest first.
func (o *file) full() []string {
	ext := filepath.Ext(o.cfg.Path)
	base := strings.TrimSuffix(o.cfg.Path, ext)
	digits := strings.Repeat("[0-9]", seqDigits)
	found, _ := filepath.Glob(escapeGlob(base) + "-" + digits + escapeGlob(ext)) // the pattern is well formed
	slices.Sort(found)
	return found
}

const seqDigits = 12

func escapeGlob(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

// write implements output.
func (o *file) write(line []byte, seq uint64) error {
	line = append(line, '\n')
	if o.size > 0 && o.size+int64(len(line)) > o.cfg.MaxBytes {
		if err := o.rotate(seq - 1); err != nil {
			return err
		}
	}
	n, err := o.f.Write(line)
	if err != nil && n > 0 {
		err = errors.Join(err, o.f.Truncate(o.size)) // a full disk takes half a line
		return err
	}
	o.size += int64(n)
	return err
}

// rotate puts the full file aside and begins another. last is the number of its last
// record.
func (o *file) rotate(last uint64) error {
	ext := filepath.Ext(o.cfg.Path)
	aside := fmt.Sprintf("%s-%0*d%s", strings.TrimSuffix(o.cfg.Path, ext), seqDigits, last, ext)
	if err := o.f.Sync(); err != nil {
		return err
	}
	if err := os.Rename(o.cfg.Path, aside); err != nil {
		return err
	}
	next, err := os.OpenFile(o.cfg.Path, os.O_RDWR|os.O_CREATE|os.O_APPEND|os.O_EXCL, 0o600)
	if err != nil {
		return errors.Join(err, os.Rename(aside, o.cfg.Path)) // it goes on in the old one
	}
	if err := syscall.Flock(int(next.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return errors.Join(err, next.Close())
	}
	_ = o.f.Close() // what was written is synced
	o.f, o.size = next, 0
	if full := o.full(); o.cfg.Keep > 0 && len(full) > o.cfg.Keep {
		for _, old := range full[:len(full)-o.cfg.Keep] {
			_ = os.Remove(old) // it is tried again with the next rotation
		}
	}
	return nil
}

// Close implements output.
func (o *file) Close() error { return errors.Join(o.f.Sync(), o.f.Close()) }
