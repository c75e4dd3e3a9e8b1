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

// SealingKey is one of the keys that seal, without the key.
type SealingKey struct {
	ID        string     `json:"key"`
	State     string     `json:"state"`                // current, next, old
	File      string     `json:"file,omitempty"`       // that holds it
	Since     *time.Time `json:"since"`                // when it was made, or first seen
	StoppedAt *time.Time `json:"stopped_at"`           // when an old one last sealed
	Until     *time.Time `json:"until"`                // when nothing needs an old one any more, at the latest
	Unknown   []string   `json:"unknown_to,omitempty"` // gateways that can't open what it seals
}

// KeyHolder is a gateway of the same store, and which keys it knows.
type KeyHolder struct {
	Name  string    `json:"name"`
	Knows []string  `json:"knows"`
	Seals string    `json:"seals_with"`
	Seen  time.Time `json:"seen_at"`
	Self  bool      `json:"self,omitempty"` // it is the one that answers
}

// SealingKeys are all of them, and who knows them.
type SealingKeys struct {
	Source   string       `json:"source"` // files, store
	Files    []string     `json:"files,omitempty"`
	Keys     []SealingKey `json:"keys"`
	Gateways []KeyHolder  `json:"gateways"`
}

// AllKeys are the keys of both rings: those that sign stand on their own for
// clients of before. SwitchesAt is when the next one begins to sign, null when no
// rotation is planned. Trouble says why the signing keys can't be told.
type AllKeys struct {
	Keys       []SigningKey `json:"keys"`
	SwitchesAt *time.Time   `json:"switches_at"`
	Trouble    string       `json:"trouble,omitempty"`
	Sealing    SealingKeys  `json:"sealing"`
}

// RotateSigning is the wish for another signing key.
type RotateSigning struct {
	Now bool `json:"now"` // whether or not every verifier knows it
}

// RotateSealing is the wish for another sealing key.
type RotateSealing struct{}

// RetireKey is the wish that a key is of no use any more.
type RetireKey struct {
	Key   string `json:"key"`
	Force bool   `json:"force"` // also if something needs it
}

// KeyUser is somebody whom the end of a key has signed out.
type KeyUser struct {
	Issuer  string `json:"issuer"`
	Subject string `json:"subject"`
}

// RetiredKey tells what became of a retired key and what hung on it.
type RetiredKey struct {
	Key       string    `json:"key"`
	SignedOut int       `json:"signed_out"`      // sessions
	Users     []KeyUser `json:"users,omitempty"` // whose these were, the first of them
	Resealed  int       `json:"resealed"`        // provider tokens that are sealed with another key now
	// RemoveFrom is the file that still holds it, and from which to take it now.
	RemoveFrom string `json:"remove_from,omitempty"`
}

// KeysOptions are what the endpoints of the keys need. Errors are those of package
// httperr.
type KeysOptions struct {
	List          func(r *http.Request) AllKeys
	RotateSigning func(r *http.Request, now bool) error
	RotateSealing func(r *http.Request) error
	RetireSigning func(r *http.Request, wish RetireKey) (RetiredKey, error)
	RetireSealing func(r *http.Request, wish RetireKey) (RetiredKey, error)
}

// Keys returns the endpoints of both rings. A rotation answers what the list would
// say afterwards.
func Keys(o KeysOptions) []Endpoint {
	list := func(w http.ResponseWriter, r *http.Request) error { return writeJSON(w, http.StatusOK, o.List(r)) }
	sign := func(w http.ResponseWriter, r *http.Request) error {
		var wish RotateSigning
		if err := readJSON(r, &wish); err != nil {
			return err
		}
		if err := o.RotateSigning(r, wish.Now); err != nil {
			return err
		}
		return list(w, r)
	}
	seal := func(w http.ResponseWriter, r *http.Request) error {
		if err := readJSON(r, &RotateSealing{}); err != nil {
			return err
		}
		if err := o.RotateSealing(r); err != nil {
			return err
		}
		return list(w, r)
	}
	return []Endpoint{
		{
			Method: http.MethodGet, Path: "/keys", Serve: list, Gives: AllKeys{},
			Summary: "Lists the signing keys, the sealing keys, and which gateway of the store knows which.",
		},
		{
			Method: http.MethodPost, Path: "/keys/signing/rotate", Serve: sign, Takes: RotateSigning{}, Gives: AllKeys{},
			Summary: "Begins to sign with the next key, as soon as every verifier can know it.",
		},
		{
			Method: http.MethodPost, Path: "/keys/rotate", Serve: sign, Takes: RotateSigning{}, Gives: AllKeys{},
			Summary: "The same as /keys/signing/rotate, under its former name.",
		},
		{
			Method: http.MethodPost, Path: "/keys/sealing/rotate", Serve: seal, Takes: RotateSealing{}, Gives: AllKeys{},
			Summary: "Makes a new key that seals, where the store keeps them.",
		},
		{
			Method: http.MethodPost, Path: "/keys/signing/retire", Serve: retire(o.RetireSigning), Takes: RetireKey{}, Gives: RetiredKey{},
			Summary: "No longer publishes a key that has stopped signing.",
		},
		{
			Method: http.MethodPost, Path: "/keys/sealing/retire", Serve: retire(o.RetireSealing), Takes: RetireKey{}, Gives: RetiredKey{},
			Summary: "Takes a key that has stopped sealing out of use, unless sessions need it.",
		},
	}
}

func retire(do func(*http.Request, RetireKey) (RetiredKey, error)) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		var wish RetireKey
		if err := readJSON(r, &wish); err != nil {
			return err
		}
		if wish.Key == "" {
			return badRequest("Say which key.")
		}
		done, err := do(r, wish)
		if err != nil {
			return err
		}
		return writeJSON(w, http.StatusOK, done)
	}
}
