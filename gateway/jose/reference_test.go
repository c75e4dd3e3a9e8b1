package jose_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/sallyport/sallyport/gateway/jose"
)

// referenceToken is Parse, written without regard to speed.
func referenceToken(raw string) (h jose.Header, ok, sure bool) {
	parts := strings.Split(raw, ".")
	if len(raw) > jose.MaxTokenBytes || len(parts) != 3 {
		return jose.Header{}, false, true
	}
	var decoded [3][]byte
	for i, part := range parts {
		var err error
		decoded[i], err = base64.RawURLEncoding.DecodeString(part)
		if err != nil || part == "" || base64.RawURLEncoding.EncodeToString(decoded[i]) != part {
			return jose.Header{}, false, true
		}
	}
	members, ok, sure := referenceObject(decoded[0])
	_, ok2, sure2 := referenceObject(decoded[1])
	if !ok || !ok2 || !sure || !sure2 {
		return jose.Header{}, false, sure && sure2
	}
	for name := range members {
		for _, known := range []string{
			"alg", "kid", "typ", "cty", "crit", "b64", "zip", "enc", "jku", "jwk", "x5u", "x5c", "x5t", "x5t#S256",
			"epk", "apu", "apv", "iv", "tag", "p2s", "p2c",
		} {
			if name != known && strings.EqualFold(name, known) {
				return jose.Header{}, false, true
			}
		}
	}
	for _, refused := range []string{"crit", "b64", "zip"} {
		if _, ok := members[refused]; ok {
			return jose.Header{}, false, true
		}
	}
	h.Algorithm, ok = members["alg"].(string)
	if !ok || !slices.Contains(allAlgorithms(), h.Algorithm) {
		return jose.Header{}, false, true
	}
	if v, there := members["typ"]; there {
		if h.Type, ok = v.(string); !ok {
			return jose.Header{}, false, true
		}
	}
	if v, there := members["kid"]; there {
		h.KeyID, ok = v.(string)
		control := func(r rune) bool { return r < 0x20 || r >= 0x7f && r <= 0x9f }
		if !ok || h.KeyID == "" || len(h.KeyID) > jose.MaxKeyIDBytes || strings.ContainsFunc(h.KeyID, control) {
			return jose.Header{}, false, true
		}
	}
	return h, true, true
}

// referenceObject reads one JSON object by the tokens of encoding/json. It is
// not sure where a text has the sign that encoding/json puts in the place of half
// a surrogate pair.
func referenceObject(data []byte) (members map[string]any, ok, sure bool) {
	if !utf8.Valid(data) || !json.Valid(data) {
		return nil, false, true
	}
	r := reference{json.NewDecoder(bytes.NewReader(data)), true}
	r.dec.UseNumber()
	v, ok := r.value(1)
	members, object := v.(map[string]any)
	return members, ok && object, r.sure
}

type reference struct {
	dec  *json.Decoder
	sure bool
}

func (r *reference) value(level int) (any, bool) {
	if level > 32 {
		return nil, false
	}
	token, err := r.dec.Token()
	if err != nil {
		return nil, false
	}
	switch v := token.(type) {
	case json.Delim:
		if v == '{' {
			return r.object(level)
		}
		return r.list(level)
	case string:
		r.look(v)
	case json.Number:
		// Whole numbers from 2^53 on, and those that float64 cannot hold, stay as
		// they are written.
		f, err := strconv.ParseFloat(v.String(), 64)
		if err != nil || !strings.ContainsAny(v.String(), ".eE") && (f >= 1<<53 || f <= -(1<<53)) {
			return v, true
		}
		return f, true
	}
	return token, true
}

func (r *reference) look(s string) {
	if strings.ContainsRune(s, utf8.RuneError) {
		r.sure = false
	}
}

func (r *reference) object(level int) (any, bool) {
	members := map[string]any{}
	for r.dec.More() {
		token, err := r.dec.Token()
		name, isText := token.(string)
		if err != nil || !isText {
			return nil, false
		}
		r.look(name)
		if _, twice := members[name]; twice {
			return nil, false
		}
		v, ok := r.value(level + 1)
		if !ok {
			return nil, false
		}
		members[name] = v
	}
	_, err := r.dec.Token()
	return members, err == nil
}

func (r *reference) list(level int) (any, bool) {
	list := []any{}
	for r.dec.More() {
		v, ok := r.value(level + 1)
		if !ok {
			return nil, false
		}
		list = append(list, v)
	}
	_, err := r.dec.Token()
	return list, err == nil
}
