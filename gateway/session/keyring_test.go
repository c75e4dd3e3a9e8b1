package session_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/gateway/session"
)

func TestSealedValuesOpenForTheirPurposeAndBindingOnly(t *testing.T) {
	ring := newRing(t, 1)
	sealed := ring.Seal(session.PurposeState, []byte("secret"), []byte("corp"))
	if plain, err := ring.Open(session.PurposeState, sealed, []byte("corp")); err != nil || string(plain) != "secret" {
		t.Fatalf("got %q, %v", plain, err)
	}
	for name, open := range map[string]func() ([]byte, error){
		"another purpose": func() ([]byte, error) { return ring.Open(session.PurposeTokens, sealed, []byte("corp")) },
		"another binding": func() ([]byte, error) { return ring.Open(session.PurposeState, sealed, []byte("other")) },
		"another ring":    func() ([]byte, error) { return newRing(t, 50).Open(session.PurposeState, sealed, []byte("corp")) },
		"nothing":         func() ([]byte, error) { return ring.Open(session.PurposeState, nil, []byte("corp")) },
		"a changed byte": func() ([]byte, error) {
			changed := bytes.Clone(sealed)
			changed[len(changed)-1] ^= 1
			return ring.Open(session.PurposeState, changed, []byte("corp"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			if plain, err := open(); !errors.Is(err, session.ErrUnsealed) || plain != nil {
				t.Errorf("got %q, %v", plain, err)
			}
		})
	}
}

func TestRingOpensWhatAnyOfItsKeysSealed(t *testing.T) {
	old := newRing(t, 1).Seal(session.PurposeTokens, []byte("x"), nil)
	if _, err := newRing(t, 50, 1).Open(session.PurposeTokens, old, nil); err != nil {
		t.Error(err)
	}
}

func TestWeakAndDoubleKeysAreRefused(t *testing.T) {
	good := bytes.Repeat([]byte{1, 2}, session.KeySize/2)
	for name, secrets := range map[string][][]byte{
		"none":           {},
		"too short":      {good[:8]},
		"one byte over":  {append(bytes.Clone(good), 1)},
		"all zero":       {make([]byte, session.KeySize)},
		"the same twice": {good, good},
	} {
		t.Run(name, func(t *testing.T) {
			if ring, err := session.NewKeyring(secrets...); err == nil || ring != nil {
				t.Error("was accepted")
			}
		})
	}
}

func TestParseKeyReadsBase64OfThirtyTwoBytes(t *testing.T) {
	secret := bytes.Repeat([]byte{0xfb, 0xff}, 16)
	for _, enc := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding} {
		got, err := session.ParseKey(enc.EncodeToString(secret) + "\n")
		if err != nil || !bytes.Equal(got, secret) {
			t.Errorf("%v, %v", got, err)
		}
	}
	for _, bad := range []string{"", "changeme", base64.StdEncoding.EncodeToString(secret[:16]), strings.Repeat("!", 44)} {
		got, err := session.ParseKey(bad)
		if err == nil || got != nil {
			t.Errorf("%q was accepted", bad)
		} else if bad != "" && strings.Contains(err.Error(), bad) {
			t.Errorf("the error repeats the key: %v", err)
		}
	}
}

func TestAFileOfKeysHoldsOneALine(t *testing.T) {
	one, two := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{1, 2}, 16)), base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{3, 4}, 16))
	got, err := session.ParseKeys("# the newest first\n" + two + " # of May\r\n\n" + one + "\n")
	if err != nil || len(got) != 2 || got[0][0] != 3 || got[1][0] != 1 {
		t.Errorf("%v, %v", got, err)
	}
	for name, text := range map[string]string{"nothing": "", "a comment alone": "# none", "one bad line": one + "\nchangeme\n"} {
		if got, err := session.ParseKeys(text); err == nil || got != nil {
			t.Errorf("%s: %v, %v", name, got, err)
		} else if strings.Contains(err.Error(), "changeme") {
			t.Errorf("the error repeats the key: %v", err)
		}
	}
}

func TestAnotherKeyOfTheRingSeals(t *testing.T) {
	ring := newRing(t, 1, 50)
	names := ring.Names()
	if len(names) != 2 || ring.Sealing() != names[0] {
		t.Fatalf("%v, %s seals", names, ring.Sealing())
	}
	before := ring.Seal(session.PurposeTokens, []byte("x"), nil)
	if !ring.SealWith(names[1]) || ring.Sealing() != names[1] || ring.SealWith("0000000000") {
		t.Errorf("%s seals", ring.Sealing())
	}
	if !ring.Stale(before) || ring.Stale(ring.Seal(session.PurposeTokens, []byte("x"), nil)) {
		t.Error("stale is not what another key has sealed")
	}
	if plain, err := ring.Open(session.PurposeTokens, before, nil); err != nil || string(plain) != "x" {
		t.Errorf("%q, %v", plain, err)
	}
	if alone := newRing(t, 50); alone.Sealing() != names[1] {
		t.Errorf("one key has two names: %s, %s", alone.Sealing(), names[1])
	}
}
