package policytest

import (
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/policy"
)

// Difference is one thing that was wanted of a decision and is not so.
type Difference struct {
	What   string `json:"what"` // effect, rule, shadow.effect, ...
	Wanted string `json:"wanted"`
	Got    string `json:"got"`
}

type differences []Difference

func (d *differences) text(what string, wanted *string, got string) {
	if wanted != nil && *wanted != got {
		*d = append(*d, Difference{What: what, Wanted: orNone(*wanted), Got: orNone(got)})
	}
}

func (d *differences) list(what string, wanted, got []string) {
	if wanted == nil {
		return
	}
	a, b := slices.Sorted(slices.Values(wanted)), slices.Sorted(slices.Values(got))
	if !slices.Equal(slices.Compact(a), slices.Compact(b)) {
		*d = append(*d, Difference{What: what, Wanted: orNone(strings.Join(wanted, ", ")), Got: orNone(strings.Join(got, ", "))})
	}
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// compare returns how a decision differs from what is wanted. A policy that could not
// be evaluated denies, but nobody who wants a denial means that: it has to be wanted
// by its reason.
func (e *Expect) compare(got *policy.Decision, err error) []Difference {
	var d differences
	if err != nil && (e.Reason == nil || *e.Reason != got.Reason) {
		return differences{{What: "reason", Wanted: "a decision", Got: got.Reason + ": " + err.Error()}}
	}
	effect := e.Effect.String()
	d.text("effect", &effect, got.Effect.String())
	d.text("rule", e.Rule, got.Rule)
	d.text("reason", e.Reason, got.Reason)
	d.text("message", e.Message, got.Message)
	if want := e.StepUp; want != nil {
		d.list("step_up.acr", want.ACR, got.StepUp.ACR)
		d.list("step_up.amr", want.AMR, got.StepUp.AMR)
		d.age("step_up.max_age", want.MaxAge, got.StepUp.MaxAge)
	}
	if want := e.Shadow; want != nil {
		d.shadow(want, &got.Shadow)
	}
	return d
}

func (d *differences) age(what string, wanted *time.Duration, got time.Duration) {
	if wanted != nil {
		text := ageText(*wanted)
		d.text(what, &text, ageText(got))
	}
}

// ageText is empty for any age.
func ageText(age time.Duration) string {
	if age == 0 {
		return ""
	}
	return policy.ShortDuration(age)
}

func (d *differences) shadow(want *ExpectShadow, got *policy.Shadowed) {
	if !got.Judged {
		*d = append(*d, Difference{What: "shadow", Wanted: "a decision", Got: "none: nothing of the policy is in the mode shadow"})
		return
	}
	if want.Effect != nil {
		effect := want.Effect.String()
		d.text("shadow.effect", &effect, got.Effect.String())
	}
	d.text("shadow.rule", want.Rule, got.Rule)
	d.text("shadow.reason", want.Reason, got.Reason)
}
