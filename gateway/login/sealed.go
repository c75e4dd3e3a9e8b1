package login

import (
	"encoding/base64"
	"encoding/json"

	"github.com/sallyport/sallyport/gateway/session"
)

// seal makes a text that the browser carries and nobody else reads or writes. It
// is worth something for the same purpose and the same bound alone, so that
// nothing that was sealed for another use passes for it.
func (s *Service) seal(purpose session.Purpose, bound string, v any) (string, error) {
	plain, err := json.Marshal(v)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(s.ring.Seal(purpose, plain, []byte(bound))), nil
}

// open reverses seal, and reports whether text is such a one, however old.
func (s *Service) open(purpose session.Purpose, bound, text string, v any) bool {
	if text == "" || len(text) > maxState {
		return false
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return false
	}
	plain, err := s.ring.Open(purpose, sealed, []byte(bound))
	return err == nil && json.Unmarshal(plain, v) == nil
}
