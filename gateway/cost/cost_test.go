package cost_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/gateway/cost"
)

// quick takes no time; its CPU figures mean nothing.
func quick() cost.Options {
	o := cost.Defaults()
	o.Rounds, o.Round = 1, time.Microsecond
	return o
}

// subject is a credential that is always judged as it should be.
func subject(credential, claims, name, value string) cost.Subject {
	fine := func() error { return nil }
	return cost.Subject{
		Credential: credential, Claims: claims, Field: cost.Field{Name: name, Value: value},
		Cold: fine, Cached: fine, Ended: fine, Forged: fine,
		Lookups: func() int64 { return 0 },
		Revoke:  func() (time.Duration, error) { return time.Microsecond, nil },
	}
}

func measure(t *testing.T, o cost.Options, subjects ...cost.Subject) *cost.Report {
	t.Helper()
	report, err := cost.Measure(subjects, o)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func TestBytesAreThoseOnTheWire(t *testing.T) {
	tests := map[string]struct {
		name, value string
		want        cost.Bytes
	}{
		// The Huffman code of RFC 7541 has 5 bits for a zero: 40 of them are 25 bytes. The
		// name is in the static table, a never indexed one takes a byte more.
		"a cookie is indexed, and then one byte": {
			"Cookie", strings.Repeat("0", 40),
			cost.Bytes{HTTP1: len("Cookie: \r\n") + 40, HTTP2First: 27, HTTP2Again: 1, HTTP2NeverIndexed: 28},
		},
		"a token that fills the table is sent again each time": {
			"Authorization", "Bearer " + strings.Repeat("0", 5000),
			cost.Bytes{HTTP1: len("Authorization: Bearer \r\n") + 5000, HTTP2First: 3135, HTTP2Again: 3135, HTTP2NeverIndexed: 3135},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := measure(t, quick(), subject("x", "y", tt.name, tt.value)).Rows[0].Bytes
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

func TestATokenThatPushesTheOthersOutOfTheTableCostsThemToo(t *testing.T) {
	// It fits into the table of 4,096 bytes, but not beside the other headers.
	b := measure(t, quick(), subject("x", "y", "Authorization", "Bearer "+strings.Repeat("0", 4000))).Rows[0].Bytes
	if b.HTTP2Again < 100 {
		t.Errorf("the second request is said to cost %d bytes more", b.HTTP2Again)
	}
}

func TestMoneyIsBytesTimesRequests(t *testing.T) {
	o := quick()
	o.RequestsPerDay, o.PricePerGB, o.RequestsPerConnection = 1_000_000, 0.10, 10
	row := measure(t, o, subject("x", "y", "Cookie", strings.Repeat("0", 40))).Rows[0]
	// 30 million requests: of 50 bytes; and one in ten of 27 bytes, the others of 1.
	want := cost.Month{HTTP1: 0.15, HTTP2: 0.0108}
	if diff := cmp.Diff(want, row.Month); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestWhatOthersVerifyIsAcceptedThereUntilItExpires(t *testing.T) {
	o := quick()
	o.TokenLifetime = 90 * time.Minute
	token, revocable := subject("RS256", "y", "A", "b"), subject("session", "y", "A", "b")
	revocable.Revoke = func() (time.Duration, error) { return 2 * time.Millisecond, nil }
	token.Revoke, token.Portable = func() (time.Duration, error) { return 3 * time.Millisecond, nil }, true
	report := measure(t, o, revocable, token)
	want := []cost.Revocation{{Seconds: 0.002}, {Seconds: 0.003, Elsewhere: 5400}}
	if diff := cmp.Diff(want, []cost.Revocation{report.Rows[0].Revocation, report.Rows[1].Revocation}); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	text := table(t, report)
	for _, part := range []string{"2000", "3000", "≤ 1 h 30 min", "assumed to live for 1 h 30 min"} {
		if !strings.Contains(text, part) {
			t.Errorf("the table does not say %q\n%s", part, text)
		}
	}
}

func TestLookupsAreCountedWhereTheyHappen(t *testing.T) {
	var asked int64
	ask := func(n int64) func() error { return func() error { asked += n; return nil } }
	s := subject("session", "y", "A", "b")
	s.Lookups = func() int64 { return asked }
	s.Cached, s.Ended, s.Forged = ask(1), ask(2), ask(0)
	got := measure(t, quick(), s).Rows[0].Lookups
	if diff := cmp.Diff(cost.Lookups{Hit: 1, Miss: 2}, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// TestNothingIsReportedOfARequestThatWasJudgedWrongly keeps the speed of a
// refusal from being taken for that of a proof.
func TestNothingIsReportedOfARequestThatWasJudgedWrongly(t *testing.T) {
	refused := errors.New("refused: wrong_audience")
	wrong := func() error { return refused }
	for name, change := range map[string]func(*cost.Subject){
		"a live credential, cold":     func(s *cost.Subject) { s.Cold = wrong },
		"a live credential, cached":   func(s *cost.Subject) { s.Cached = wrong },
		"an ended credential":         func(s *cost.Subject) { s.Ended = wrong },
		"a forged credential":         func(s *cost.Subject) { s.Forged = wrong },
		"a revocation without effect": func(s *cost.Subject) { s.Revoke = func() (time.Duration, error) { return 0, refused } },
	} {
		t.Run(name, func(t *testing.T) {
			s := subject("x", "y", "A", "b")
			change(&s)
			report, err := cost.Measure([]cost.Subject{s}, quick())
			if report != nil || !errors.Is(err, refused) {
				t.Errorf("%v, %v", report, err)
			}
		})
	}
}

func TestAssumptionsThatMakeNoSenseAreRefused(t *testing.T) {
	for name, change := range map[string]func(*cost.Options){
		"no requests":           func(o *cost.Options) { o.RequestsPerDay = 0 },
		"a negative price":      func(o *cost.Options) { o.PricePerGB = -1 },
		"an infinite price":     func(o *cost.Options) { o.PricePerGB = math.Inf(1) },
		"a token that never is": func(o *cost.Options) { o.TokenLifetime = 0 },
		"an empty connection":   func(o *cost.Options) { o.RequestsPerConnection = 0 },
		"no rounds":             func(o *cost.Options) { o.Rounds = 0 },
		"a round of no time":    func(o *cost.Options) { o.Round = 0 },
	} {
		t.Run(name, func(t *testing.T) {
			o := quick()
			change(&o)
			if _, err := cost.Measure(nil, o); err == nil {
				t.Error("it was accepted")
			}
		})
	}
}

func TestABusyMachineGetsFewerRoundsAndSaysSo(t *testing.T) {
	o := quick()
	o.Rounds, o.Patience = 1000, time.Nanosecond
	if got := measure(t, o, subject("x", "y", "A", "b")).Assumed.Rounds; got != 3 {
		t.Errorf("%d rounds after the patience was over", got)
	}
}

func TestTheReportSurvivesJSON(t *testing.T) {
	report := measure(t, quick(), subject("session", "10 claims", "Cookie", "a=b"), subject("RS256", "10 claims", "Authorization", "Bearer x"))
	var out bytes.Buffer
	if err := report.WriteJSON(&out); err != nil {
		t.Fatal(err)
	}
	var back cost.Report
	dec := json.NewDecoder(&out)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(report, &back); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestTableAndChartsFitTheirWidth(t *testing.T) {
	var subjects []cost.Subject
	for _, credential := range append([]string{"session"}, cost.Algorithms()...) {
		subjects = append(subjects, subject(credential, "claims.j…", "Authorization", "Bearer "+strings.Repeat("x", 2000)))
	}
	report := measure(t, quick(), subjects...)
	for i := range report.Rows {
		report.Rows[i].CPU = cost.CPU{Cold: 123_456, Cached: 99_900}
	}
	fits := func(text string, columns int) {
		t.Helper()
		for line := range strings.Lines(text) {
			if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > columns {
				t.Errorf("%d columns, want at most %d: %s", n, columns, line)
			}
		}
	}
	fits(table(t, report), 100)
	for _, columns := range []int{cost.MinChartWidth, 100, 140} {
		var chart strings.Builder
		if err := report.WriteChart(&chart, columns); err != nil {
			t.Fatal(err)
		}
		fits(chart.String(), columns)
	}
}

func TestThePictureIsWellFormedWhateverTheFileIsCalled(t *testing.T) {
	claims, err := cost.ParseClaims("<a&\"\x1b\x00\xff>", []byte(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	report := measure(t, quick(), subject("session", claims.Name, "Cookie", "a=b"))
	report.Rows[0].Claims = "<script>\x00\x1b" // and if it were not made printable before
	var svg strings.Builder
	if err := report.WriteSVG(&svg); err != nil {
		t.Fatal(err)
	}
	elements := map[string]int{}
	dec := xml.NewDecoder(strings.NewReader(svg.String()))
	for {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%v\n%s", err, svg.String())
		}
		if e, ok := token.(xml.StartElement); ok {
			elements[e.Name.Local]++
		}
	}
	if elements["script"] > 0 || elements["title"] != 1 || elements["desc"] != 1 || elements["text"] < 5 {
		t.Errorf("%v\n%s", elements, svg.String())
	}
	if strings.Contains(table(t, measure(t, quick(), subject("x", claims.Name, "A", "b"))), "\x1b") {
		t.Error("the file's name reaches the terminal as it is")
	}
}

func TestClaimsOfOnesOwn(t *testing.T) {
	for name, tt := range map[string]struct{ object, fault string }{
		"an object":             {`{"sub":"alice","aud":["a","b"]}`, ""},
		"what is missing":       {`{}`, ""},
		"a list":                {`[]`, "no JSON object"},
		"null":                  {`null`, "no JSON object"},
		"not JSON":              {`sub: alice`, "no JSON object"},
		"a subject of no text":  {`{"sub":7}`, "must be text"},
		"an empty issuer":       {`{"iss":""}`, "must be text"},
		"an audience of nobody": {`{"aud":[]}`, "must be text"},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := cost.ParseClaims("file", []byte(tt.object))
			switch {
			case tt.fault == "" && err != nil:
				t.Error(err)
			case tt.fault != "" && (err == nil || c != nil || !strings.Contains(err.Error(), tt.fault)):
				t.Errorf("%v, %v, want %q", c, err, tt.fault)
			}
		})
	}
}

func table(t *testing.T, r *cost.Report) string {
	t.Helper()
	var b strings.Builder
	if err := r.WriteTable(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
