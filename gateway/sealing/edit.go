package sealing

import (
	"encoding/base64"
	"errors"
	"strings"
	"time"

	"github.com/sallyport/sallyport/gateway/session"
)

// ErrLast says that a file would hold no key any more.
var ErrLast = errors.New("sealing: the file holds no other key")

// Draw makes a key that one ring can hold together with those of these names, as a
// line of a file of keys.
func Draw(taken []session.KeyName) (line string, name session.KeyName, err error) {
	secret, err := fresh(taken)
	if err != nil {
		return "", "", err
	}
	name, err = session.NameKey(secret)
	return base64.StdEncoding.EncodeToString(secret), name, err
}

// NamesIn returns the names of the keys of a file, in their order.
func NamesIn(text string) ([]session.KeyName, error) {
	secrets, err := session.ParseKeys(text)
	if err != nil {
		return nil, err
	}
	names := make([]session.KeyName, len(secrets))
	for i, secret := range secrets {
		if names[i], err = session.NameKey(secret); err != nil {
			return nil, err
		}
	}
	return names, nil
}

// Prepend puts a key before the others of a file, and says beside it which one it is.
func Prepend(text, line string, name session.KeyName, now time.Time) string {
	return line + " # " + string(name) + ", " + now.UTC().Format(time.DateOnly) + "\n" + text
}

// Remove takes a key out of a file, and leaves all else as it is. It returns
// ErrUnknownKey where the file does not hold it, and ErrLast where it holds no other.
func Remove(text string, name session.KeyName) (string, error) {
	var kept strings.Builder
	found, others := false, false
	for line := range strings.Lines(text) {
		names, err := NamesIn(line)
		switch {
		case err == nil && names[0] == name:
			found = true
			continue
		case err == nil:
			others = true
		}
		kept.WriteString(line)
	}
	switch {
	case !found:
		return "", ErrUnknownKey
	case !others:
		return "", ErrLast
	}
	return kept.String(), nil
}
