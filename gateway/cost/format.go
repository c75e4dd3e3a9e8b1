package cost

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// grouped writes 1234567 as 1,234,567.
func grouped(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// micros writes nanoseconds as microseconds with two or three digits that mean something.
func micros(nanos float64) string {
	us := nanos / 1000
	switch {
	case us < 10:
		return strconv.FormatFloat(us, 'f', 2, 64)
	case us < 100:
		return strconv.FormatFloat(us, 'f', 1, 64)
	}
	return strconv.FormatFloat(us, 'f', 0, 64)
}

// dollars writes an amount of money.
func dollars(amount float64) string {
	switch {
	case amount == 0:
		return "0"
	case amount < 0.01:
		return "<0.01"
	case amount < 1000:
		return strconv.FormatFloat(amount, 'f', 2, 64)
	}
	return grouped(int64(amount + 0.5))
}

// price writes a price with as many digits as it was given.
func price(p float64) string { return "$" + strconv.FormatFloat(p, 'f', -1, 64) }

// elsewhere says until when one is accepted where nothing is known of the
// revocation.
func (r *Revocation) elsewhere() string {
	if r.Elsewhere == 0 {
		return "-"
	}
	return "≤ " + spell(time.Duration(r.Elsewhere*float64(time.Second)))
}

// spell writes a duration as people do: 1 h, 1 h 30 min, 45 s.
func spell(d time.Duration) string {
	d = d.Round(time.Second)
	var parts []string
	for _, unit := range []struct {
		size time.Duration
		name string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "min"}, {time.Second, "s"}} {
		if n := d / unit.size; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, unit.name))
			d -= n * unit.size
		}
	}
	if len(parts) == 0 {
		return "0 s"
	}
	return strings.Join(parts, " ")
}
