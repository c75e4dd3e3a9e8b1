package authorizer_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/policy"
	"github.com/sallyport/sallyport/policy/authorizer"
)

func TestWhatCountsAsAnAnswer(t *testing.T) {
	const allow, deny, stepUp, nonsense = "allow", "deny", "step_up", policy.ReasonPolicyError
	s := newService(t)
	c := s.client(t, nil)
	for body, want := range map[string]string{
		`{"result": true}`:  allow,
		`{"result": false}`: deny,
		`{"result":  true , "decision_id": "1", "metrics": {"timer": 1}}`: allow,
		"\t{\"result\":\ttrue}\n": allow,

		// OPA's undefined.
		`{}`:                                  deny,
		`{"decision_id": "1"}`:                deny,
		`{"result": null}`:                    deny,
		`{"warning": {"code": "api_usage"}}`:  deny,
		`{"RESULT": true, "Result": true}`:    deny,
		`{"allow": true}`:                     deny,
		`{"result": {"allow": true}}`:         allow,
		`{"result": {"allow": false}}`:        deny,
		`{"result": {"allow": true, "x": 1}}`: allow,
		`{"result": {"allow": true, "reason": "owner", "message": "", "step_up": {}}}`:            allow,
		`{"result": {"allow": true, "reason": null, "message": null, "step_up": null}}`:           allow,
		`{"result": {"allow": true, "reason": "Two Words"}}`:                                      allow,
		`{"result": {"allow": false, "reason": "owner", "message": "Ask Dana.", "other": []}}`:    deny,
		`{"result": {"allow": false, "step_up": {}}}`:                                             deny,
		`{"result": {"allow": false, "step_up": {"acr": [], "amr": [], "max_age": null}}}`:        deny,
		`{"result": {"allow": false, "step_up": {"acr": ["phrh"]}}}`:                              stepUp,
		`{"result": {"allow": false, "step_up": {"amr": ["pwd", "hwk"], "x": 1}}}`:                stepUp,
		`{"result": {"allow": false, "step_up": {"max_age": 60}}}`:                                stepUp,
		`{"result": {"allow": false, "step_up": {"max_age": 6e1}}}`:                               stepUp,
		`{"result": {"allow": false, "step_up": {"acr": ["mfa"]}}}`:                               deny, // he has that
		`{"result": {"allow": false, "step_up": {"acr": ["mfa", "phrh"], "amr": ["otp"]}}}`:       deny,
		`{"result": {"allow": false, "step_up": {"acr": ["mfa"], "amr": ["hwk"]}}}`:               stepUp,
		`{"result": {"allow": true, "step_up": {"acr": ["phrh"]}}}`:                               nonsense,
		`{"result": {"allow": true, "step_up": {"acr": ["mfa"]}}}`:                                nonsense,
		`{"result": {"allow": false, "step_up": {"acr": "phrh"}}}`:                                nonsense,
		`{"result": {"allow": false, "step_up": {"acr": [1]}}}`:                                   nonsense,
		`{"result": {"allow": false, "step_up": {"acr": [null]}}}`:                                nonsense,
		`{"result": {"allow": false, "step_up": {"acr": [""]}}}`:                                  nonsense,
		`{"result": {"allow": false, "step_up": {"acr": ["a b"]}}}`:                               nonsense,
		`{"result": {"allow": false, "step_up": {"amr": ["a\""]}}}`:                               nonsense,
		`{"result": {"allow": false, "step_up": {"amr": ["a\r\nX: y"]}}}`:                         nonsense,
		`{"result": {"allow": false, "step_up": {"acr": ["` + strings.Repeat("a", 101) + `"]}}}`:  nonsense,
		`{"result": {"allow": false, "step_up": {"acr": ["a","b","c","d","e","f","g","h","i"]}}}`: nonsense,
		`{"result": {"allow": false, "step_up": {"max_age": "60"}}}`:                              nonsense,
		`{"result": {"allow": false, "step_up": {"max_age": 0}}}`:                                 nonsense,
		`{"result": {"allow": false, "step_up": {"max_age": -1}}}`:                                nonsense,
		`{"result": {"allow": false, "step_up": {"max_age": 1.5}}}`:                               nonsense,
		`{"result": {"allow": false, "step_up": {"max_age": 1e300}}}`:                             nonsense,
		`{"result": {"allow": false, "step_up": {"max_age": 1e999}}}`:                             nonsense,
		`{"result": {"allow": false, "step_up": true}}`:                                           nonsense,
		`{"result": {"allow": false, "step_up": {"acr": ["a"], "acr": []}}}`:                      nonsense,

		// What is known has its type, and what decides is there, once.
		`{"result": {}}`:                                       nonsense,
		`{"result": {"ALLOW": true}}`:                          nonsense,
		`{"result": {"allow": null}}`:                          nonsense,
		`{"result": {"allow": 1}}`:                             nonsense,
		`{"result": {"allow": "true"}}`:                        nonsense,
		`{"result": {"allow": [true]}}`:                        nonsense,
		`{"result": {"allow": true, "reason": 1}}`:             nonsense,
		`{"result": {"allow": true, "reason": ["a"]}}`:         nonsense,
		`{"result": {"allow": true, "message": {}}}`:           nonsense,
		`{"result": {"allow": false, "allow": true}}`:          nonsense,
		`{"result": {"allow": true, "allow": true}}`:           nonsense,
		`{"result": {"allow": true, "\u0061llow": false}}`:     nonsense,
		`{"result": {"allow": true, "x": 1, "x": 2}}`:          nonsense,
		`{"result": false, "result": true}`:                    nonsense,
		`{"result": true, "result": true}`:                     nonsense,
		`{"result": 1}`:                                        nonsense,
		`{"result": "allow"}`:                                  nonsense,
		`{"result": "true"}`:                                   nonsense,
		`{"result": [true]}`:                                   nonsense,
		`{"result": []}`:                                       nonsense,
		`{"result": True}`:                                     nonsense,
		`{"result": tru}`:                                      nonsense,
		`{"result": true} {"result": true}`:                    nonsense,
		`{"result": true} false`:                               nonsense,
		`{"result": true}]`:                                    nonsense,
		`{"result": true`:                                      nonsense,
		`{"result": true,}`:                                    nonsense,
		`{result: true}`:                                       nonsense,
		`[{"result": true}]`:                                   nonsense,
		`true`:                                                 nonsense,
		`null`:                                                 nonsense,
		``:                                                     nonsense,
		`<html>welcome</html>`:                                 nonsense,
		"{\"result\": true, \"x\": \"\xff\"}":                  nonsense,
		`{"result": true, "x": ` + strings.Repeat("[", 20_000): nonsense,
		`{"result": true}` + strings.Repeat(" ", 64<<10):       nonsense,
		`{"result": true}` + strings.Repeat(" ", 64<<10-16):    allow,
	} {
		s.Says(http.StatusOK, body)
		if got := asks(t, c, alice()); got != want {
			t.Errorf("%.120q is %s, want %s", body, got, want)
		}
	}
}

func TestWhatAnAnswerSaysBesides(t *testing.T) {
	s := newService(t)
	c := s.client(t, nil)
	for name, tt := range map[string]struct {
		body string
		want policy.Decision
	}{
		"a reason": {
			`{"result": {"allow": true, "reason": "owner_2", "message": "hello"}}`,
			policy.Decision{Effect: policy.Allow, Rule: "authorizer:owner_2", Reason: policy.ReasonAllowedByAuthorizer},
		},
		"a message": {
			`{"result": {"allow": false, "reason": "not_owner", "message": " Ask\n\u0000\u001b[31m Dana.\u0085 "}}`,
			policy.Decision{Rule: "authorizer:not_owner", Reason: policy.ReasonDeniedByAuthorizer, Message: "Ask [31m Dana."},
		},
		"a message that is too long": {
			`{"result": {"allow": false, "message": "` + strings.Repeat("a", 499) + `ééé"}}`,
			policy.Decision{Rule: "authorizer", Reason: policy.ReasonDeniedByAuthorizer, Message: strings.Repeat("a", 499)},
		},
		"a reason that is no word": {
			`{"result": {"allow": false, "reason": "x\", \"level\": \"debug"}}`,
			policy.Decision{Rule: "authorizer", Reason: policy.ReasonDeniedByAuthorizer},
		},
		"a reason that is too long": {
			`{"result": {"allow": false, "reason": "` + strings.Repeat("a", 41) + `"}}`,
			policy.Decision{Rule: "authorizer", Reason: policy.ReasonDeniedByAuthorizer},
		},
		"a reason that begins with a digit": {
			`{"result": {"allow": false, "reason": "2fa"}}`,
			policy.Decision{Rule: "authorizer", Reason: policy.ReasonDeniedByAuthorizer},
		},
		"a sign-in": {
			`{"result": {"allow": false, "reason": "weak", "step_up": {"acr": ["phrh", "gold"], "amr": ["hwk"], "max_age": 300}}}`,
			policy.Decision{
				Effect: policy.NeedStepUp, Rule: "authorizer:weak", Reason: policy.ReasonStepUp,
				StepUp: policy.StepUp{ACR: []string{"phrh", "gold"}, AMR: []string{"hwk"}, MaxAge: 5 * time.Minute},
			},
		},
		"nothing": {`{}`, policy.Decision{Rule: "authorizer", Reason: policy.ReasonDeniedByAuthorizer}},
	} {
		t.Run(name, func(t *testing.T) {
			s.Says(http.StatusOK, tt.body)
			d, err := set(t, c).Evaluate(t.Context(), alice())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, d); diff != "" {
				t.Errorf("decision (-want +got):\n%s", diff)
			}
		})
	}
}

// FuzzAnswer: only what encoding/json, too, reads as a yes is one, and nothing counts
// of what is no answer.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"result":true}`, `{"result":{"allow":true,"reason":"a","message":"b"}}`, `{"result":false,"result":true}`, `{"result": null} `,
		`{"result":{"allow":false,"step_up":{"acr":["a"],"amr":["b"],"max_age":60}}}`, `{"result":{"allow":true,"step_up":{"max_age":1}}}`, `[[`, `{"":{"":0}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		allow, sound := authorizer.Judge(body)
		if !allow {
			return
		}
		var document map[string]any
		if !sound || !utf8.Valid(body) || json.Unmarshal(body, &document) != nil {
			t.Fatalf("%q is allowed", body)
		}
		result := document["result"]
		if object, ok := result.(map[string]any); ok {
			result = object["allow"]
			if want, ok := object["step_up"].(map[string]any); ok && want["max_age"] != nil {
				t.Errorf("%q is allowed beside a sign-in that it asks for", body)
			}
		}
		if result != true {
			t.Errorf("%q is allowed", body)
		}
	})
}
