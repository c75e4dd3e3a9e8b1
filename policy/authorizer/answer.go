package authorizer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/sallyport/sallyport/policy"
)

const (
	// maxAnswer bounds what is read of an answer, in bytes.
	maxAnswer = 64 << 10
	// maxMessage is how much an answer can say to people, in bytes.
	maxMessage = 500
	// Bounds of a sign-in that is asked for. All of it travels in URLs.
	maxWords    = 8
	maxWord     = 100     // bytes
	maxStepUpIn = 1 << 31 // seconds
)

// answer is what the service said. It is not changed once it is made.
type answer struct {
	allow   bool
	rule    string // what is shown as the rule that decided
	message string
	stepUp  policy.StepUp
}

// decide says what the answer means for a user at a time. A sign-in that he has made
// already is not asked for again: it would not make the no a yes.
func (a *answer) decide(in *policy.Input) policy.Decision {
	id := &in.Identity
	switch {
	case a.allow:
		return policy.Decision{Effect: policy.Allow, Rule: a.rule, Reason: policy.ReasonAllowedByAuthorizer}
	case !a.stepUp.Empty() && !a.stepUp.MetBy(id.ACR, id.AMR, id.AuthTime, in.Now):
		return policy.Decision{Effect: policy.NeedStepUp, Rule: a.rule, Reason: policy.ReasonStepUp, StepUp: a.stepUp}
	}
	return policy.Decision{Rule: a.rule, Reason: policy.ReasonDeniedByAuthorizer, Message: a.message}
}

func (a *answer) result() Result {
	switch {
	case a.allow:
		return ResultAllow
	case !a.stepUp.Empty():
		return ResultStepUp
	}
	return ResultDeny
}

var (
	errNotOne         = errors.New("it is not one JSON object")
	errUTF8           = errors.New("it is not valid UTF-8")
	errTwice          = errors.New("a member is there twice")
	errResult         = errors.New("result is neither true or false nor an object")
	errAllow          = errors.New("result.allow is not there, or neither true nor false")
	errReason         = errors.New("result.reason is not text")
	errMessage        = errors.New("result.message is not text")
	errStepUp         = errors.New("result.step_up is not an object of acr, amr and max_age as they are documented")
	errContradiction  = errors.New("result.step_up stands beside allow: true, and it can't be both")
	errAnswerTooLarge = fmt.Errorf("the answer is larger than %d bytes", maxAnswer)
)

// parseAnswer reads an answer. What OPA calls undefined, no result, is a no. An error
// says that it is no answer; nothing of it counts then.
func parseAnswer(body []byte) (*answer, error) {
	if !utf8.Valid(body) {
		return nil, errUTF8
	}
	document, err := members(body)
	if err != nil {
		return nil, err
	}
	a := &answer{rule: name}
	result, defined := document["result"]
	switch {
	case !defined || string(result) == "null":
		return a, nil
	case string(result) == "true" || string(result) == "false":
		a.allow = string(result) == "true"
		return a, nil
	case result[0] != '{':
		return nil, errResult
	}
	object, err := members(result)
	if err != nil {
		return nil, err
	}
	if err := a.read(object); err != nil {
		return nil, err
	}
	return a, nil
}

// read takes the members of a result that mean something.
func (a *answer) read(object map[string]json.RawMessage) error {
	switch string(object["allow"]) {
	case "true":
		a.allow = true
	case "false":
	default:
		return errAllow
	}
	reason, err := text(object["reason"], errReason)
	if err != nil {
		return err
	}
	if isReason(reason) {
		a.rule = name + ":" + reason
	}
	if a.message, err = text(object["message"], errMessage); err != nil {
		return err
	}
	a.message = clean(a.message)
	if a.stepUp, err = stepUp(object["step_up"]); err != nil {
		return err
	}
	if a.allow && !a.stepUp.Empty() {
		return errContradiction
	}
	return nil
}

// members reads one JSON object, and nothing after it. encoding/json alone would let
// the last of two equal names win and take ALLOW for allow.
func members(body []byte) (map[string]json.RawMessage, error) {
	d := json.NewDecoder(bytes.NewReader(body))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, errNotOne
	}
	all := map[string]json.RawMessage{}
	for d.More() {
		t, err := d.Token()
		name, ok := t.(string)
		if err != nil || !ok {
			return nil, errNotOne
		}
		if _, twice := all[name]; twice {
			return nil, errTwice
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, errNotOne
		}
		all[name] = value
	}
	if t, err := d.Token(); err != nil || t != json.Delim('}') {
		return nil, errNotOne
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errNotOne
	}
	return all, nil
}

// absent takes null for a member that is not there, as policies often write it.
func absent(raw json.RawMessage) bool { return len(raw) == 0 || string(raw) == "null" }

func text(raw json.RawMessage, wrong error) (string, error) {
	var s string
	if absent(raw) {
		return "", nil
	}
	if json.Unmarshal(raw, &s) != nil {
		return "", wrong
	}
	return s, nil
}

// isReason tells words that can stand in a log without a second look. What the
// service says of its reasons otherwise is dropped: it decides nothing.
func isReason(s string) bool {
	const most = 40
	for i, c := range []byte(s) {
		if c != '_' && (c < 'a' || c > 'z') && (c < '0' || c > '9') || i == 0 && (c < 'a' || c > 'z') {
			return false
		}
	}
	return s != "" && len(s) <= most
}

// clean makes a message fit for a page: no control characters, and not too long.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case unicode.IsControl(r):
			return -1
		}
		return r
	}, s)
	if len(s) > maxMessage {
		end := maxMessage
		for !utf8.RuneStart(s[end]) {
			end--
		}
		s = s[:end]
	}
	return strings.TrimSpace(s)
}

// stepUp reads what sign-in is wanted. One that asks for nothing is none.
func stepUp(raw json.RawMessage) (policy.StepUp, error) {
	if absent(raw) {
		return policy.StepUp{}, nil
	}
	if raw[0] != '{' {
		return policy.StepUp{}, errStepUp
	}
	object, err := members(raw)
	if err != nil {
		return policy.StepUp{}, err
	}
	var s policy.StepUp
	for name, words := range map[string]*[]string{"acr": &s.ACR, "amr": &s.AMR} {
		if absent(object[name]) {
			continue
		}
		if json.Unmarshal(object[name], words) != nil || len(*words) > maxWords || slices.ContainsFunc(*words, notWord) {
			return policy.StepUp{}, errStepUp
		}
	}
	if !absent(object["max_age"]) {
		var seconds float64
		if json.Unmarshal(object["max_age"], &seconds) != nil || seconds < 1 || seconds > maxStepUpIn || seconds != math.Trunc(seconds) {
			return policy.StepUp{}, errStepUp
		}
		s.MaxAge = time.Duration(seconds) * time.Second
	}
	return s, nil
}

// notWord refuses what would need escaping in a header (RFC 6749, appendix A.4), or
// can't stand in a list that spaces divide.
func notWord(s string) bool {
	return s == "" || len(s) > maxWord || strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c > '~' || c == '"' || c == '\\' })
}
