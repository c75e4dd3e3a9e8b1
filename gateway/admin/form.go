package admin

import (
	"encoding/base64"
	"encoding/binary"
	"net/http"
	"time"

	"github.com/sallyport/sallyport/gateway/httperr"
)

const (
	formLife    = signInLife
	formMACSize = 16
	formSize    = 1 + 4 + formMACSize
	maxForm     = 64 << 10 // bytes
)

// formToken is what a form of a page carries: who was shown no page of ours can't
// make his browser send one.
func (g *gate) formToken(r *http.Request) string {
	var ends [4]byte
	binary.BigEndian.PutUint32(ends[:], uint32(time.Now().Add(formLife).Unix()))
	keyID, mac := g.Signer.Sign(formMessage(ends, operatorOf(r).bound))
	token := append([]byte{keyID}, ends[:]...)
	return base64.RawURLEncoding.EncodeToString(append(token, mac[:formMACSize]...))
}

func formMessage(ends [4]byte, bound []byte) []byte {
	return append(append([]byte("admin form\x00"), ends[:]...), bound...)
}

// meant judges whether the operator himself has sent a form: what his browser says
// of where it comes from (Sec-Fetch-Site, Origin), and the token of the form, both.
func (g *gate) meant(w http.ResponseWriter, r *http.Request) error {
	if g.origin.Check(r) != nil {
		return errElsewhere()
	}
	if err := readForm(w, r); err != nil {
		return err
	}
	token, err := base64.RawURLEncoding.Strict().DecodeString(r.PostForm.Get("form_token"))
	if err != nil || len(token) != formSize {
		return errFormToken()
	}
	ends := [4]byte(token[1:])
	if time.Now().Unix() > int64(binary.BigEndian.Uint32(ends[:])) || !g.Signer.Check(token[0], formMessage(ends, operatorOf(r).bound), token[5:]) {
		return errFormToken()
	}
	return nil
}

func errFormToken() error {
	return &httperr.Error{Code: http.StatusForbidden, Reason: "bad_form_token", Public: "This form is too old, or is not from here. Nothing was done: go back, load the page anew, and try again."}
}

func readForm(w http.ResponseWriter, r *http.Request) error {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		return &httperr.Error{Code: http.StatusBadRequest, Reason: "malformed_request", Public: "The form can't be read.", Err: err}
	}
	return nil
}
