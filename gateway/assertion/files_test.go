package assertion_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/gateway/assertion"
)

func pemKey(t *testing.T, key crypto.Signer, err error) []byte {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

func p256(t *testing.T) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	return pemKey(t, key, err)
}

func ed(t *testing.T) []byte {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	return pemKey(t, key, err)
}

func write(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestOfKeyFilesTheFirstSignsAndAllArePublished(t *testing.T) {
	dir := t.TempDir()
	one, two := filepath.Join(dir, "one"), filepath.Join(dir, "two")
	write(t, one, p256(t))
	write(t, two, ed(t))
	r, err := assertion.NewFiles(assertion.FilesOptions{Files: []string{one, two}, Read: os.ReadFile})
	if err != nil {
		t.Fatal(err)
	}
	published, signing := kids(t, r)
	if len(published) != 2 || signing != published[0] {
		t.Fatalf("published %v, signed by %s", published, signing)
	}
	raw := mint(t, r, someone(1))

	// Exchanged: what was second is first.
	first, err := os.ReadFile(one)
	if err != nil {
		t.Fatal(err)
	}
	second, err := os.ReadFile(two)
	if err != nil {
		t.Fatal(err)
	}
	write(t, one, second)
	write(t, two, first)
	if err := r.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, now := kids(t, r); now != published[1] {
		t.Errorf("%s signs, want %s", now, published[1])
	}
	verify(t, r, raw)

	// A file that is half written changes nothing.
	write(t, one, second[:40])
	if err := r.Refresh(t.Context()); err == nil {
		t.Error("half a file was taken")
	}
	if _, now := kids(t, r); now != published[1] {
		t.Errorf("%s signs, want %s", now, published[1])
	}
	if err := r.Rotate(t.Context(), true); !errors.Is(err, assertion.ErrFiles) {
		t.Errorf("a rotation says %v", err)
	}
}

func TestKeyFilesThatCannotSignAreNamed(t *testing.T) {
	good := p256(t)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	rsaFile := pemKey(t, rsaKey, err)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	p384File := pemKey(t, p384, err)
	for name, second := range map[string][]byte{
		"empty": {}, "RSA": rsaFile, "P-384": p384File, "the same key": good, "text": []byte("hunter2"), "missing": nil,
	} {
		t.Run(name, func(t *testing.T) {
			r, err := assertion.NewFiles(assertion.FilesOptions{Files: []string{"0", "1"}, Read: func(file string) ([]byte, error) {
				switch {
				case file == "0":
					return good, nil
				case second == nil:
					return nil, os.ErrNotExist
				}
				return second, nil
			}})
			wrong, ok := errors.AsType[*assertion.FileError](err)
			if !ok || wrong.Index != 1 || r != nil {
				t.Fatalf("%v, %v", r, err)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error shows the content: %q", err)
			}
		})
	}
}
