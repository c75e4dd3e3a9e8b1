package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// hours are times of the week in one place of the world.
type hours struct {
	text     string
	days     [7]bool // on which it begins, Sunday first
	from, to int     // minutes of the day; to may be before from: until the next day
	zone     *time.Location
}

//nolint:gochecknoglobals // a constant table, in the order of time.Weekday
var dayNames = [...]string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

const hoursExample = `write hours such as "mon-fri 08:00-18:00 Europe/Berlin" or "sat,sun 22:00-06:00 UTC"`

// parseHours reads days, a span and a time zone. The zone is never left out: that
// of the machine would be a surprise. A span that ends at or before its start ends
// on the next day; the end itself is outside.
func parseHours(s string) (h hours, problem string) {
	words := strings.Fields(s)
	if len(words) != 3 {
		return h, "does not name days, a span and a time zone: " + hoursExample
	}
	h.text = s
	for part := range strings.SplitSeq(strings.ToLower(words[0]), ",") {
		first, last, isRange := strings.Cut(part, "-")
		if !isRange {
			last = first
		}
		a, b := slices.Index(dayNames[:], first), slices.Index(dayNames[:], last)
		if part == "daily" {
			a, b = 0, 6
		}
		if a < 0 || b < 0 {
			return h, fmt.Sprintf("%q is no day: write mon, mon-fri, sat,sun or daily", part)
		}
		for day := a; ; day = (day + 1) % 7 {
			h.days[day] = true
			if day == b {
				break
			}
		}
	}
	from, to, ok := strings.Cut(words[1], "-")
	if !ok {
		return h, fmt.Sprintf("%q is no span: write one such as 08:00-18:00", words[1])
	}
	if h.from, ok = minutes(from); !ok || h.from == 24*60 {
		return h, fmt.Sprintf("%q is no time of the day: write one such as 08:00", from)
	}
	if h.to, ok = minutes(to); !ok {
		return h, fmt.Sprintf("%q is no time of the day: write one such as 18:00, or 24:00 for midnight", to)
	}
	if h.from == h.to {
		return h, "begins when it ends: write 00:00-24:00 for the whole day"
	}
	if words[2] == "Local" {
		return h, "means the zone of whatever machine this runs on: name one such as Europe/Berlin"
	}
	zone, err := time.LoadLocation(words[2])
	if err != nil {
		return h, fmt.Sprintf("%q is no time zone: write one such as Europe/Berlin or UTC", words[2])
	}
	h.zone = zone
	return h, ""
}

// minutes reads a time of the day, up to 24:00.
func minutes(s string) (int, bool) {
	if s == "24:00" {
		return 24 * 60, true
	}
	if len(s) != len("15:04") {
		return 0, false
	}
	t, err := time.Parse("15:04", s)
	return t.Hour()*60 + t.Minute(), err == nil
}

// covers reports whether now is within, by the clocks on the walls there: where
// they are put back, an hour counts twice.
func (h *hours) covers(now time.Time) bool {
	now = now.In(h.zone)
	return h.includes(int(now.Weekday()), now.Hour()*60+now.Minute())
}

// includes answers for a minute of a day, Sunday being 0.
func (h *hours) includes(day, minute int) bool {
	if h.from < h.to {
		return h.days[day] && h.from <= minute && minute < h.to
	}
	yesterday := (day + 6) % 7
	return h.days[day] && minute >= h.from || h.days[yesterday] && minute < h.to
}
