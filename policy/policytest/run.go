package policytest

import (
	"context"
	"errors"
	"time"

	"github.com/sallyport/sallyport/policy"
)

// Report is what came of one file.
type Report struct {
	File    string
	Config  string // as in File
	Results []Result
	Begun   time.Time
	Took    time.Duration
}

// Result is what came of one case.
type Result struct {
	Case *Case
	// Policy is the name of the policy that was asked.
	Policy string
	// Differences are what was wanted and not got. With none, and no Err, the case
	// has passed.
	Differences []Difference
	// Err is why the case could not be judged: there is no such policy, or the case
	// does not say what the external authorizer answers.
	Err error
	// Explanation is the decision, with what every rule says.
	Explanation policy.Explanation
	Took        time.Duration

	set *policy.Set
}

// Passed reports whether everything was as wanted.
func (r *Result) Passed() bool { return r.Err == nil && len(r.Differences) == 0 }

// Failed is how many cases have not passed.
func (r *Report) Failed() int {
	n := 0
	for i := range r.Results {
		if !r.Results[i].Passed() {
			n++
		}
	}
	return n
}

// Run asks every case of the file. find returns the policy that a case asks, which
// must have been compiled with StandIn in the place of every external authorizer.
func Run(ctx context.Context, file *File, find func(c *Case) (*policy.Set, error)) *Report {
	begin := time.Now()
	report := &Report{File: file.Name, Config: file.Config, Begun: begin, Results: make([]Result, len(file.Cases))}
	for i := range file.Cases {
		report.Results[i] = ask(ctx, &file.Cases[i], find)
	}
	report.Took = time.Since(begin)
	return report
}

func ask(ctx context.Context, c *Case, find func(c *Case) (*policy.Set, error)) Result {
	begin := time.Now()
	out := Result{Case: c, Policy: c.Policy}
	set, err := find(c)
	if err == nil && set == nil {
		err = errNoPolicy
	}
	if err != nil {
		out.Err, out.Took = err, time.Since(begin)
		return out
	}
	out.set, out.Policy = set, set.Name()
	e := &exchange{answer: c.Answer}
	in := c.Input
	out.Explanation = set.Explain(context.WithValue(ctx, exchangeKey{}, e), &in)
	if e.unanswered {
		out.Err = errUnanswered
	} else {
		out.Differences = c.Expect.compare(&out.Explanation.Decision, out.Explanation.Err)
	}
	out.Took = time.Since(begin)
	return out
}

var (
	errNoPolicy   = errors.New("there is no such policy")
	errUnanswered = errors.New("the policy asks its external authorizer, which is not asked here: write authorizer: allow, deny or outage in the case")
	errOutage     = errors.New("the case says that it can't be reached")
	errSenseless  = errors.New("the case says that its answer makes no sense")
)

// exchange is what a case has to do with the external authorizer.
type exchange struct {
	answer     *Answer
	unanswered bool // it was asked, and the case does not say what it answers
}

type exchangeKey struct{}

// StandIn returns what answers in the place of an external authorizer: what the
// case says. Outside Run it is an outage.
func StandIn() policy.Authorizer { return standIn{} }

type standIn struct{}

func (standIn) Authorize(ctx context.Context, _ *policy.Input) (policy.Decision, error) {
	e, ok := ctx.Value(exchangeKey{}).(*exchange)
	switch {
	case !ok:
		return policy.Decision{}, errUnanswered
	case e.answer == nil:
		e.unanswered = true
		return policy.Decision{}, errUnanswered
	case e.answer.Outage:
		return policy.Decision{}, errOutage
	case e.answer.Senseless:
		return policy.Decision{}, &policy.EvaluationError{Rule: policy.RuleAuthorizer, Err: errSenseless}
	}
	return e.answer.Decision, nil
}
