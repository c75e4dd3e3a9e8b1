package gateway_test

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/gateway"
)

// measureCost measures in short rounds: what is counted is right, what is timed
// means little.
func measureCost(t *testing.T, claims string) *gateway.CostReport {
	t.Helper()
	o := gateway.DefaultCostOptions()
	o.Rounds, o.Round = 1, 100*time.Microsecond
	if claims != "" {
		var err error
		if o.Claims, err = gateway.ParseCostClaims("own.json", []byte(claims)); err != nil {
			t.Fatal(err)
		}
	}
	report, err := gateway.MeasureCost(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func TestCostComparesTheSessionWithEveryAlgorithm(t *testing.T) {
	var want, got []string
	for _, credential := range []string{"session", "RS256", "PS256", "ES256", "EdDSA", "HS256"} {
		want = append(want, credential+", 10 claims", credential+", 50 groups", credential+", own.json")
	}
	report := measureCost(t, `{"tenant":"t1"}`)
	for _, row := range report.Rows {
		got = append(got, row.Credential+", "+row.Claims)
		if row.CPU.Cold <= 0 || row.CPU.Cached <= 0 || row.Month.HTTP1 <= 0 || row.Month.HTTP2 <= 0 {
			t.Errorf("%s, %s: something is missing: %+v", row.Credential, row.Claims, row)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestTheCookieStaysSmallWhateverIsBehindIt(t *testing.T) {
	rows := measureCost(t, "").Rows
	ten, fifty := rows[0], rows[1]
	if ten.Bytes.HTTP1 >= 60 || ten.Bytes.HTTP1 != fifty.Bytes.HTTP1 {
		t.Errorf("the cookie's line takes %d bytes with 10 claims and %d with 50 groups", ten.Bytes.HTTP1, fifty.Bytes.HTTP1)
	}
	for i := 2; i < len(rows); i += 2 {
		if rows[i].Bytes.HTTP1 < 5*ten.Bytes.HTTP1 || rows[i+1].Bytes.HTTP1 < 2*rows[i].Bytes.HTTP1 {
			t.Errorf("%s: %d and %d bytes", rows[i].Credential, rows[i].Bytes.HTTP1, rows[i+1].Bytes.HTTP1)
		}
	}
}

func TestAForgedCookieCostsTheStoreNothing(t *testing.T) {
	for _, row := range measureCost(t, "").Rows {
		l := row.Lookups
		if row.Credential == "session" {
			if l.Hit != 1 || l.Miss != 1 || l.Forged != 0 {
				t.Errorf("session: %+v", l)
			}
		} else if l.Hit+l.Miss+l.Forged > 0 {
			t.Errorf("%s: %+v", row.Credential, l)
		}
	}
}

// TestWhatIsRevokedIsRefusedLongBeforeATokenWouldExpire allows a second, and
// the lifetime of tokens is an hour.
func TestWhatIsRevokedIsRefusedLongBeforeATokenWouldExpire(t *testing.T) {
	for _, row := range measureCost(t, "").Rows {
		elsewhere := 3600.0
		if row.Credential == "session" {
			elsewhere = 0
		}
		if r := row.Revocation; r.Seconds <= 0 || r.Seconds > 1 || r.Elsewhere != elsewhere {
			t.Errorf("%s: %+v", row.Credential, r)
		}
	}
}

// TestClaimsThatMakeNoAccessTokenAreNotMeasured: the speed of a refusal is no
// answer to what a proof costs.
func TestClaimsThatMakeNoAccessTokenAreNotMeasured(t *testing.T) {
	for name, tt := range map[string]struct{ claims, reason string }{
		"an ID token":       {`{"nonce":"n"}`, "wrong_token_type"},
		"a bound token":     {`{"cnf":{"jkt":"x"}}`, "bound_token"},
		"a token too large": {`{"x":"` + strings.Repeat("x", 20<<10) + `"}`, "token_too_large"},
	} {
		t.Run(name, func(t *testing.T) {
			o := gateway.DefaultCostOptions()
			o.Rounds, o.Round = 1, time.Microsecond
			var err error
			if o.Claims, err = gateway.ParseCostClaims("own.json", []byte(tt.claims)); err != nil {
				t.Fatal(err)
			}
			report, err := gateway.MeasureCost(t.Context(), o)
			if report != nil || err == nil || !strings.Contains(err.Error(), tt.reason) {
				t.Errorf("%v, %v, want %s", report, err, tt.reason)
			}
		})
	}
}

// TestTheDocsShowTheTableThatTheCommandPrints compares all but the figures.
func TestTheDocsShowTheTableThatTheCommandPrints(t *testing.T) {
	docs, err := os.ReadFile("../docs/session-or-jwt.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```text\n(.*?)```").FindAllStringSubmatch(string(docs), -1)
	if len(blocks) != 1 {
		t.Fatalf("%d tables", len(blocks))
	}
	picture, err := os.ReadFile("../docs/session-or-jwt.svg")
	if err != nil {
		t.Fatal(err)
	}
	report := measureCost(t, "")
	for _, row := range report.Rows {
		if label := row.Credential + ", " + row.Claims; strings.Count(string(picture), ">"+label+"<") != 2 {
			t.Errorf("the picture does not show %s in both charts", label)
		}
	}
	var printed strings.Builder
	if err := report.WriteTable(&printed); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(withoutFigures(printed.String()), withoutFigures(blocks[0][1])); diff != "" {
		t.Errorf("-printed +docs\n%s", diff)
	}
}

// withoutFigures keeps the rows and columns of a table, up to the first empty line.
func withoutFigures(text string) []string {
	table, _, _ := strings.Cut(text, "\n\n")
	label := regexp.MustCompile(`^(\w+, \d+ \w+)(.*)$`)
	figure := regexp.MustCompile(`[<≤]? ?[0-9][0-9,.]*( (us|ms|s|min|h|d)\b)*`)
	var lines []string
	for line := range strings.Lines(table) {
		name, rest := "", strings.TrimRight(line, "\n")
		if m := label.FindStringSubmatch(rest); m != nil {
			name, rest = m[1], figure.ReplaceAllString(m[2], "#")
		}
		words := strings.Fields(rest)
		lines = append(lines, fmt.Sprintf("%s: %s", name, strings.Join(words, " ")))
	}
	return lines
}
