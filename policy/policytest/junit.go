package policytest

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"time"
)

// The elements of JUnit reports that build servers read.
type (
	junitSuites struct {
		XMLName  xml.Name     `xml:"testsuites"`
		Name     string       `xml:"name,attr"`
		Tests    int          `xml:"tests,attr"`
		Failures int          `xml:"failures,attr"`
		Errors   int          `xml:"errors,attr"`
		Time     string       `xml:"time,attr"`
		Suites   []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name      string      `xml:"name,attr"`
		Tests     int         `xml:"tests,attr"`
		Failures  int         `xml:"failures,attr"`
		Errors    int         `xml:"errors,attr"`
		Skipped   int         `xml:"skipped,attr"`
		Time      string      `xml:"time,attr"`
		Timestamp string      `xml:"timestamp,attr"`
		Cases     []junitCase `xml:"testcase"`
	}
	junitCase struct {
		Name      string        `xml:"name,attr"`
		ClassName string        `xml:"classname,attr"`
		Time      string        `xml:"time,attr"`
		Failure   *junitProblem `xml:"failure"`
		Error     *junitProblem `xml:"error"`
	}
	junitProblem struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr"`
		Text    string `xml:",chardata"`
	}
)

// WriteJUnit writes the reports as JUnit XML, a suite for each file. A case that
// could not be judged is an error there, and one that got something else than it
// wanted a failure.
func (r Reports) WriteJUnit(w io.Writer) error {
	all := junitSuites{Name: "sallyport policy test"}
	var took time.Duration
	for _, one := range r {
		suite := one.junit()
		all.Tests += suite.Tests
		all.Failures += suite.Failures
		all.Errors += suite.Errors
		took += one.Took
		all.Suites = append(all.Suites, suite)
	}
	all.Time = seconds(took)
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", "  ")
	if err := enc.Encode(all); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func (r *Report) junit() junitSuite {
	suite := junitSuite{Name: r.File, Tests: len(r.Results), Time: seconds(r.Took), Timestamp: r.Begun.UTC().Format("2006-01-02T15:04:05")}
	for i := range r.Results {
		one := &r.Results[i]
		c := junitCase{Name: one.Case.Name, ClassName: r.File, Time: seconds(one.Took)}
		var text strings.Builder
		fmt.Fprintf(&text, "%s:%d\n", r.File, one.Case.Line)
		one.why(&text)
		switch {
		case one.Err != nil:
			suite.Errors++
			c.Error = &junitProblem{Message: one.Err.Error(), Type: "no_decision", Text: text.String()}
		case !one.Passed():
			suite.Failures++
			c.Failure = &junitProblem{Message: one.differs(), Type: "other_decision", Text: text.String()}
		}
		suite.Cases = append(suite.Cases, c)
	}
	return suite
}

// differs is what differs, in one line.
func (r *Result) differs() string {
	all := make([]string, len(r.Differences))
	for i, d := range r.Differences {
		all[i] = fmt.Sprintf("%s: wanted %s, got %s", d.What, d.Wanted, d.Got)
	}
	return strings.Join(all, "; ")
}

// seconds has no more than three digits after the point: schemas take no others.
func seconds(d time.Duration) string { return fmt.Sprintf("%.3f", d.Seconds()) }
