// Package cost is the measuring behind `sallyport cost`: what a session cookie
// and JWTs cost on this machine, in bytes, CPU, look-ups, money, and in the time
// until a revocation bites. It owns the subjects' claims, the measuring, and the
// report as text, chart, JSON and SVG. The decision path that it times is the
// gateway's own, put together in package gateway and handed over as functions.
// Nothing here listens, connects or writes a file.
package cost

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"time"
)

// Options are what is assumed and how long is measured.
type Options struct {
	RequestsPerDay        int64
	PricePerGB            float64       // dollars for 10^9 bytes
	TokenLifetime         time.Duration // how long a JWT is valid: exp - iat
	RequestsPerConnection int           // on one HTTP/2 connection
	Claims                *Claims       // of one's own, measured as well; nil: none

	Rounds   int           // each figure is the median of so many
	Round    time.Duration // how much CPU each takes: enough for the garbage collector to run
	Patience time.Duration // after it, no more rounds than are needed
}

// Defaults are the options of the command line. With them a measurement takes
// some four seconds.
func Defaults() Options {
	return Options{
		RequestsPerDay: 1_000_000, PricePerGB: 0.09, TokenLifetime: time.Hour, RequestsPerConnection: 20,
		Rounds: 9, Round: 12 * time.Millisecond, Patience: 8 * time.Second,
	}
}

// Validate reports everything that makes no sense.
func (o *Options) Validate() error {
	var errs []error
	check := func(ok bool, text string) {
		if !ok {
			errs = append(errs, errors.New(text))
		}
	}
	check(o.RequestsPerDay > 0, "the requests per day must be more than 0")
	check(o.PricePerGB >= 0 && o.PricePerGB < 1e9, "the price per GB must be a number, and not negative")
	check(o.TokenLifetime > 0, "the token lifetime must be more than 0")
	check(o.RequestsPerConnection > 0, "the requests per connection must be more than 0")
	check(o.Rounds > 0 && o.Round > 0, "there must be a round, and it must take time")
	return errors.Join(errs...)
}

// Subject is one credential to measure. The functions return an error when the
// answer was not the expected one; what they time must be the path of production.
type Subject struct {
	Credential string // "session", or a signature algorithm
	Claims     string // name of the claims behind it
	Field      Field  // the request header that carries it

	Cold   func() error // a request with it, where nothing about it is remembered
	Cached func() error // a request with it, as in production
	Ended  func() error // a request with one that has ended or expired: refused
	Forged func() error // a request with one that was tampered with: refused

	// Lookups is how often a session store was asked so far.
	Lookups func() int64
	// Revoke makes such a credential, takes it back at one gateway, and returns
	// how long it took until another refused it.
	Revoke func() (time.Duration, error)
	// Portable says that others than the gateway can verify it, who then learn
	// of its end by its expiry alone.
	Portable bool
}

// Measure measures the subjects, and reports them in their order.
func Measure(subjects []Subject, o Options) (*Report, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	report := &Report{
		Machine: Machine{OS: runtime.GOOS, Arch: runtime.GOARCH, CPUs: runtime.GOMAXPROCS(0), Go: runtime.Version()},
		Assumed: Assumed{
			RequestsPerDay: o.RequestsPerDay, PricePerGB: o.PricePerGB, DaysPerMonth: daysPerMonth,
			TokenLifetimeSeconds: o.TokenLifetime.Seconds(), RequestsPerConnection: o.RequestsPerConnection,
			RoundSeconds: o.Round.Seconds(), Clock: clockName,
		},
		Rows: make([]Row, len(subjects)),
	}
	probes := make([]*probe, 0, 2*len(subjects))
	for i := range subjects {
		s, row := &subjects[i], &report.Rows[i]
		if err := s.describe(row, o); err != nil {
			return nil, fmt.Errorf("%s, %s: %w", s.Credential, s.Claims, err)
		}
		probes = append(probes, &probe{do: s.Cold}, &probe{do: s.Cached})
	}
	var err error
	if report.Assumed.Rounds, err = run(probes, o); err != nil {
		return nil, err
	}
	for i := range report.Rows {
		report.Rows[i].CPU = CPU{Cold: rounded(probes[2*i].median(), 1), Cached: rounded(probes[2*i+1].median(), 1)}
	}
	return report, nil
}

// describe fills in all that is counted rather than timed in rounds.
func (s *Subject) describe(row *Row, o Options) (err error) {
	row.Credential, row.Claims = s.Credential, s.Claims
	if row.Bytes, err = measureBytes(s.Field); err != nil {
		return err
	}
	row.Month = monthly(row.Bytes, o)
	for _, one := range []struct {
		do    func() error
		count *int64
	}{{s.Cached, nil}, {s.Cached, &row.Lookups.Hit}, {s.Ended, &row.Lookups.Miss}, {s.Forged, &row.Lookups.Forged}} {
		before := s.Lookups()
		if err := one.do(); err != nil {
			return err
		}
		if one.count != nil { // the first of all is what makes the next one a hit
			*one.count = s.Lookups() - before
		}
	}
	took, err := medianOf(revocations, s.Revoke)
	row.Revocation = Revocation{Seconds: took.Seconds()}
	if s.Portable {
		row.Revocation.Elsewhere = o.TokenLifetime.Seconds()
	}
	return err
}

// revocations is how many are measured for the median.
const revocations = 21

const daysPerMonth = 30

// monthly is the price of carrying the credential.
func monthly(b Bytes, o Options) Month {
	gigabytes := float64(o.RequestsPerDay) * daysPerMonth / 1e9
	n := float64(o.RequestsPerConnection)
	overHTTP2 := (float64(b.HTTP2First) + (n-1)*float64(b.HTTP2Again)) / n
	return Month{
		HTTP1: rounded(float64(b.HTTP1)*gigabytes*o.PricePerGB, 6),
		HTTP2: rounded(overHTTP2*gigabytes*o.PricePerGB, 6),
	}
}

// rounded cuts off digits that mean nothing.
func rounded(v float64, digits int) float64 {
	scale := math.Pow10(digits)
	return math.Round(v*scale) / scale
}
