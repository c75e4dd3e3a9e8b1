// Package followed decides when what a file holds counts. A file that is in use and
// is read again and again may be half written, or stand beside another that is not
// written yet; what it held before counts until it is settled and was taken.
//
// Reading files, and what becomes of them, is the caller's.
package followed

import "bytes"

// Change is what a look at files has shown.
type Change uint8

// The changes.
const (
	Same  Change = iota // nothing to say: as before, not settled yet, or still wrong
	Taken               // they hold something else, and it was taken
	Back                // they were wrong, and hold what was taken before
)

// Files are files that mean something together, as a certificate and its key. The
// zero value holds nothing. It is not safe for concurrent use.
type Files struct {
	held   [][]byte // what was taken
	last   [][]byte // what was read last
	failed string   // what was said last about not taking them
}

// Hold says that these texts were taken already.
func (f *Files) Hold(texts ...[]byte) { f.held = texts }

// Look is told what the files hold now, or that they can't be read. What two looks in
// a row have found is taken if it is not held already; what could not be taken is
// tried again, because it can be a matter of time. The same error in a row is
// returned once.
func (f *Files) Look(texts [][]byte, err error, take func() error) (Change, error) {
	if err == nil {
		settled := equal(texts, f.last)
		f.last = texts
		switch {
		case !settled:
			return Same, nil
		case equal(texts, f.held):
			was := f.failed
			f.failed = ""
			if was != "" {
				return Back, nil
			}
			return Same, nil
		}
		err = take()
	}
	if err != nil {
		if err.Error() == f.failed {
			return Same, nil
		}
		f.failed = err.Error()
		return Same, err
	}
	f.held, f.failed = texts, ""
	return Taken, nil
}

func equal(a, b [][]byte) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !bytes.Equal(a[i], b[i]) {
			return false
		}
	}
	return true
}
