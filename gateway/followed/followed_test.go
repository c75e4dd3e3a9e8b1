package followed_test

import (
	"errors"
	"testing"

	"github.com/sallyport/sallyport/gateway/followed"
)

func TestFilesCountOnceTheyAreSettledAndTaken(t *testing.T) {
	var f followed.Files
	f.Hold([]byte("one"))
	bad, gone := errors.New("bad"), errors.New("gone")
	taken := ""
	for i, look := range []struct {
		text   string
		read   error
		want   followed.Change
		err    error
		inUse  string
		reason string
	}{
		{"one", nil, followed.Same, nil, "", "it is held"},
		{"one", nil, followed.Same, nil, "", "it is held"},
		{"tw", nil, followed.Same, nil, "", "it is being written"},
		{"two", nil, followed.Same, nil, "", "it may be written yet"},
		{"two", nil, followed.Taken, nil, "two", "it is settled"},
		{"two", nil, followed.Same, nil, "two", "it is held"},
		{"bad", nil, followed.Same, nil, "two", "it may be written yet"},
		{"bad", nil, followed.Same, bad, "two", "it is wrong"},
		{"bad", nil, followed.Same, nil, "two", "it was said"},
		{"", gone, followed.Same, gone, "two", "that is another fault"},
		{"two", nil, followed.Same, nil, "two", "it may be written yet"},
		{"two", nil, followed.Back, nil, "two", "it is what was held"},
		{"two", nil, followed.Same, nil, "two", "it was said"},
	} {
		got, err := f.Look([][]byte{[]byte(look.text)}, look.read, func() error {
			if look.text == "bad" {
				return bad
			}
			taken = look.text
			return nil
		})
		if got != look.want || !errors.Is(err, look.err) || (err == nil) != (look.err == nil) || taken != look.inUse {
			t.Errorf("look %d at %q, because %s: %d, %v, and %q is in use", i, look.text, look.reason, got, err, taken)
		}
	}
}

func TestFilesThatBelongTogetherAreTakenTogether(t *testing.T) {
	var f followed.Files
	f.Hold([]byte("cert 1"), []byte("key 1"))
	for i, look := range []struct {
		cert, key string
		want      followed.Change
	}{
		{"cert 1", "key 1", followed.Same},
		{"cert 2", "key 1", followed.Same},
		{"cert 2", "key 2", followed.Same}, // the one was written after the other
		{"cert 2", "key 2", followed.Taken},
	} {
		if got, err := f.Look([][]byte{[]byte(look.cert), []byte(look.key)}, nil, func() error { return nil }); got != look.want || err != nil {
			t.Errorf("look %d: %d, %v", i, got, err)
		}
	}
}
