package gateway_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway/config"
)

type keyList struct {
	Keys       []struct{ Kid, State, Algorithm string }
	SwitchesAt *time.Time `json:"switches_at"`
	Trouble    string
	Sealing    struct {
		Source   string
		Keys     []struct{ Key, State, File string }
		Gateways []struct {
			Name  string
			Knows []string
		}
	}
	Reason string
	Detail string
}

func TestOperatorsRotateTheKeys(t *testing.T) {
	s := newSigningSite(t, devProvider+assertingRoutes)
	var before, planned, after keyList
	if code := s.operate("GET", "/keys", "", &before); code != 200 || len(before.Keys) != 2 || before.SwitchesAt != nil {
		t.Fatalf("%d %+v", code, before)
	}
	if code := s.operate("POST", "/keys/rotate", `{}`, &planned); code != 200 || planned.SwitchesAt == nil || planned.Keys[0] != before.Keys[0] {
		t.Errorf("%d %+v: a key that was made just now must wait", code, planned)
	}
	if code := s.operate("POST", "/keys/rotate", `{"now":true}`, &after); code != 200 || after.Keys[0].Kid != before.Keys[1].Kid || len(after.Keys) != 3 {
		t.Errorf("%d %+v", code, after)
	}
	var refused keyList
	if code := s.operate("POST", "/keys/rotate", `{"later":true}`, &refused); code != 400 {
		t.Errorf("an unknown wish: %d %+v", code, refused)
	}
	w := s.send(s.admin, "POST", "/api/v1/keys/rotate", `{"now":true}`)
	if w.Code != 401 {
		t.Errorf("without the token: %d %s", w.Code, w.Body)
	}
}

func TestKeysInFilesAreRotatedByFiles(t *testing.T) {
	key := filepath.Join(t.TempDir(), "key.pem")
	writeSigningKey(t, key)
	s := newSigningSite(t, devProvider+assertingRoutes+"assertions: {keys_files: ["+key+"]}\n")
	var got keyList
	if code := s.operate("POST", "/keys/rotate", `{"now":true}`, &got); code != 409 || got.Reason != "keys_in_files" {
		t.Errorf("%d %+v", code, got)
	}
	if code := s.operate("GET", "/keys", "", &got); code != 200 || len(got.Keys) != 1 || got.Keys[0].State != "current" {
		t.Errorf("%d %+v", code, got)
	}
	assertion := echoed(t, s.send(s.public, "GET", "/", "", s.signIn()), "Sallyport-Assertion")
	if token, _ := s.claims(assertion[0]); token.Header.KeyID != got.Keys[0].Kid {
		t.Errorf("%s signs", token.Header.KeyID)
	}
}

func TestTokensAreMintedInDevelopmentOnly(t *testing.T) {
	s := newSigningSite(t, devProvider+assertingRoutes)
	var got struct {
		AccessToken string `json:"access_token"`
		Reason      string
	}
	code := s.operate("POST", "/tokens/mint", `{"subject":"bob","email":"bob@example.test","groups":["staff"],"audience":"api","lifetime":"90s","claims":{"tenant":"t1"}}`, &got)
	if code != 200 {
		t.Fatalf("%d %+v", code, got)
	}
	_, claims := s.claims(got.AccessToken)
	for name, want := range map[string]any{"sub": "bob", "aud": "api", "tenant": "t1", "email": "bob@example.test", "email_verified": true} {
		if claims[name] != want {
			t.Errorf("%s is %v, want %v", name, claims[name], want)
		}
	}
	for name, body := range map[string]string{
		"no subject": `{}`, "a long life": `{"subject":"a","lifetime":"2h"}`, "a short one": `{"subject":"a","lifetime":"10ms"}`,
		"no duration": `{"subject":"a","lifetime":"soon"}`, "another issuer": `{"subject":"a","claims":{"iss":"https://id.example.test"}}`,
		"an unknown field": `{"subject":"a","admin":true}`,
	} {
		got.AccessToken = ""
		if code := s.operate("POST", "/tokens/mint", body, &got); code != 400 || got.AccessToken != "" {
			t.Errorf("%s: %d %+v", name, code, got)
		}
	}
	production := newSigningSite(t, "issuer: https://id.example.test\nclient_id: app\nupstream: builtin:echo\n")
	if code := production.operate("POST", "/tokens/mint", `{"subject":"bob"}`, &got); code != 403 || got.Reason != "not_development" {
		t.Errorf("%d %+v", code, got)
	}
}

// writeSealingKey writes the key of that name, always the same: two random ones
// would have the same id once in 256 runs, which a ring refuses.
func writeSealingKey(t *testing.T, name string) string {
	t.Helper()
	secret := sha256.Sum256([]byte(name))
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(base64.StdEncoding.EncodeToString(secret[:])), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestSigningKeysSealedWithARemovedKeyAreKeptAndTheOperatorIsTold(t *testing.T) {
	db := filepath.Join(t.TempDir(), "sallyport.db")
	old, fresh := writeSealingKey(t, "old"), writeSealingKey(t, "new")
	with := func(routes string, keys ...string) string {
		return devProvider + routes + "session: {embedded: {path: " + db + "}, keys_files: [" + strings.Join(keys, ", ") + "]}\n"
	}
	first := newSigningSite(t, with(assertingRoutes, old))
	published := first.send(first.public, "GET", "/.auth/jwks.json", "").Body.String()
	first.close()

	// Where keys are needed, the gateway does not start, and says what to do.
	_, err := openSigner(t, with(assertingRoutes, fresh))
	if faults, ok := errors.AsType[config.Faults](err); !ok || !strings.Contains(faults.Error(), "session.keys_files") || !strings.Contains(faults.Error(), "put the key") {
		t.Errorf("the start says %v", err)
	}

	// Both: they are opened, and sealed anew, so that the old one can go.
	both := newSigningSite(t, with(assertingRoutes, fresh, old))
	if got := both.send(both.public, "GET", "/.auth/jwks.json", "").Body.String(); got != published {
		t.Errorf("the keys were exchanged: %s, before %s", got, published)
	}
	both.close()
	alone := newSigningSite(t, with(assertingRoutes, fresh))
	if got := alone.send(alone.public, "GET", "/.auth/jwks.json", "").Body.String(); got != published {
		t.Errorf("the keys were exchanged: %s, before %s", got, published)
	}
	alone.close()

	// Where nothing needs them, the gateway serves, and says what is wrong.
	third := newSigningSite(t, "issuer: https://id.example.test\nclient_id: app\nupstream: builtin:echo\n"+
		"session: {embedded: {path: "+db+"}, keys_files: ["+old+"]}\n")
	if w := third.send(third.public, "GET", "/.auth/jwks.json", ""); w.Code != 503 || w.Header().Get("Retry-After") == "" {
		t.Errorf("the keys: %d %s", w.Code, w.Body)
	}
	var told keyList
	if code := third.operate("GET", "/keys", "", &told); code != 200 || len(told.Keys) != 0 || len(told.Sealing.Keys) != 1 || !strings.Contains(told.Trouble, "put the key") {
		t.Errorf("%d %+v", code, told)
	}
	third.close()
}

func TestSigningKeysOutliveTheFirstSealingKeyOfOnesOwn(t *testing.T) {
	db := filepath.Join(t.TempDir(), "sallyport.db")
	before := newSigningSite(t, devProvider+assertingRoutes+"session: {embedded: {path: "+db+"}}\n")
	published := before.send(before.public, "GET", "/.auth/jwks.json", "").Body.String()
	before.close()
	after := newSigningSite(t, devProvider+assertingRoutes+"session: {embedded: {path: "+db+"}, keys_files: ["+writeSealingKey(t, "own")+"]}\n")
	if got := after.send(after.public, "GET", "/.auth/jwks.json", "").Body.String(); got != published {
		t.Errorf("the keys were exchanged: %s, before %s", got, published)
	}
}

func writeSigningKey(t *testing.T, path string) {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	text := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
