package gateway

import (
	"errors"
	"fmt"
	"time"

	"github.com/sallyport/sallyport/gateway/sealing"
	"github.com/sallyport/sallyport/gateway/session"
)

// SealingKeys returns the names of the keys that the text of a file of
// session.keys_files holds, in their order.
func SealingKeys(text string) ([]string, error) {
	names, err := sealing.NamesIn(text)
	if err != nil {
		return nil, err
	}
	list := make([]string, len(names))
	for i, name := range names {
		list[i] = string(name)
	}
	return list, nil
}

// DrawSealingKey makes a sealing key, as a line of such a file, that gateways can
// tell from those of these names.
func DrawSealingKey(taken []string) (line, name string, err error) {
	names := make([]session.KeyName, len(taken))
	for i, name := range taken {
		names[i] = session.KeyName(name)
	}
	line, drawn, err := sealing.Draw(names)
	return line, string(drawn), err
}

// PrependSealingKey returns the text of such a file with a key before the others.
func PrependSealingKey(text, line, name string) string {
	return sealing.Prepend(text, line, session.KeyName(name), time.Now())
}

// RemoveSealingKey returns the text of such a file without the key of that name.
func RemoveSealingKey(text, name string) (string, error) {
	left, err := sealing.Remove(text, session.KeyName(name))
	switch {
	case errors.Is(err, sealing.ErrUnknownKey):
		return "", fmt.Errorf("it does not hold the key %q", name)
	case errors.Is(err, sealing.ErrLast):
		return "", fmt.Errorf("it holds no other key than %q: take the file itself out of session.keys_files", name)
	}
	return left, err
}
