package admin

import (
	"net/http"
	"time"
)

// SigningKey is one of the gateway's signing keys, without the key.
type SigningKey struct {
	ID          string     `json:"kid"`
	Algorithm   string     `json:"algorithm"`
	State       string     `json:"state"` // current, next, retired; published for files after the first
	PublishedAt *time.Time `json:"published_at"`
	Until       *time.Time `json:"until"` // when a retired one disappears
}

// SigningKeys are all of them. SwitchesAt is when the next one begins to sign,
// null when no rotation is planned.
type SigningKeys struct {
	Keys       []SigningKey `json:"keys"`
	SwitchesAt *time.Time   `json:"switches_at"`
}

// KeysOptions are what the endpoints of the signing keys need. Errors are those
// of package httperr.
type KeysOptions struct {
	List   func() (SigningKeys, error)
	Rotate func(r *http.Request, now bool) error
}

// Keys returns GET /keys and POST /keys/rotate. The latter answers what the
// former would say afterwards.
func Keys(o KeysOptions) []Endpoint {
	list := func(w http.ResponseWriter, _ *http.Request) error {
		keys, err := o.List()
		if err != nil {
			return err
		}
		return writeJSON(w, http.StatusOK, keys)
	}
	return []Endpoint{
		{Method: http.MethodGet, Path: "/keys", Serve: list},
		{Method: http.MethodPost, Path: "/keys/rotate", Serve: func(w http.ResponseWriter, r *http.Request) error {
			var wish struct {
				Now bool `json:"now"`
			}
			if err := readJSON(r, &wish); err != nil {
				return err
			}
			if err := o.Rotate(r, wish.Now); err != nil {
				return err
			}
			return list(w, r)
		}},
	}
}
