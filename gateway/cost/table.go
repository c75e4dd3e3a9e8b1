package cost

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"
)

// column is one column of the table: two lines of heading, and what it shows.
// The first is aligned to the left, numbers to the right.
type column struct {
	group, name string // the group is above this column and those without one after it
	show        func(*Row) string
}

func columns() []column {
	return []column{
		{"", "credential", (*Row).label},
		{"HTTP/1", "bytes", func(r *Row) string { return grouped(int64(r.Bytes.HTTP1)) }},
		{"HTTP/2", "first", func(r *Row) string { return grouped(int64(r.Bytes.HTTP2First)) }},
		{"", "again", func(r *Row) string { return grouped(int64(r.Bytes.HTTP2Again)) }},
		{"CPU, us", "cold", func(r *Row) string { return micros(r.CPU.Cold) }},
		{"", "cached", func(r *Row) string { return micros(r.CPU.Cached) }},
		{"look-ups", "hit", func(r *Row) string { return grouped(r.Lookups.Hit) }},
		{"", "miss", func(r *Row) string { return grouped(r.Lookups.Miss) }},
		{"", "bad", func(r *Row) string { return grouped(r.Lookups.Forged) }},
		{"revoked, us", "here", func(r *Row) string { return micros(r.Revocation.Seconds * 1e9) }},
		{"", "else", func(r *Row) string { return r.Revocation.elsewhere() }},
		{"$ a month", "HTTP/1", func(r *Row) string { return dollars(r.Month.HTTP1) }},
		{"", "HTTP/2", func(r *Row) string { return dollars(r.Month.HTTP2) }},
	}
}

// WriteTable writes the table, and what was assumed below it. It is made for a
// terminal of 100 columns.
func (r *Report) WriteTable(w io.Writer) error {
	cols := columns()
	names, cells := make([]string, len(cols)), make([][]string, len(r.Rows))
	widths := make([]int, len(cols))
	for j, c := range cols {
		names[j], widths[j] = c.name, width(c.name)
	}
	for i := range r.Rows {
		for j, c := range cols {
			cells[i] = append(cells[i], c.show(&r.Rows[i]))
			widths[j] = max(widths[j], width(cells[i][j]))
		}
	}
	var b strings.Builder
	groups := groupLine(cols, widths)
	b.WriteString(strings.TrimRight(groups, " ") + "\n")
	for _, line := range append([][]string{names}, cells...) {
		for j, text := range line {
			gap := strings.Repeat(" ", widths[j]-width(text))
			if j == 0 {
				b.WriteString(text + gap)
			} else {
				b.WriteString(gutter + gap + text)
			}
		}
		b.WriteByte('\n')
	}
	b.WriteByte('\n')
	for _, note := range r.notes() {
		b.WriteString(wrap("- "+note, 98))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

const gutter = "  "

// groupLine writes each group in the middle above its columns, and widens the
// last of them where it needs more room.
func groupLine(cols []column, widths []int) string {
	var b strings.Builder
	for j := 0; j < len(cols); {
		end := j + 1
		for end < len(cols) && cols[end].group == "" {
			end++
		}
		span := len(gutter) * (end - j - 1)
		for _, w := range widths[j:end] {
			span += w
		}
		text := cols[j].group
		if more := width(text) - span; more > 0 {
			widths[end-1] += more
			span += more
		}
		if j > 0 {
			b.WriteString(gutter)
		}
		before := (span - width(text) + 1) / 2
		b.WriteString(strings.Repeat(" ", before) + text + strings.Repeat(" ", span-width(text)-before))
		j = end
	}
	return b.String()
}

// notes say what was measured how, and what was assumed.
func (r *Report) notes() []string {
	a := &r.Assumed
	return []string{
		fmt.Sprintf("Measured with %s on %s/%s, %d CPUs. CPU: %s, for one whole decision (route, credential, proof, a policy of five rules, headers); median of %d rounds of %s.",
			r.Machine.Go, r.Machine.OS, r.Machine.Arch, r.Machine.CPUs, a.Clock, a.Rounds, time.Duration(a.RoundSeconds*float64(time.Second))),
		"Cold: nothing is remembered; of a session, its record is read, without the way to the store. Cached: as in production.",
		"Bytes: what the header adds to a browser's request, alone on its line. HTTP/1 is HTTP/1.1. HTTP/2: first request of a connection, and each further one. " +
			"Go's client, Chrome and others index it, as measured; Firefox and curl never index Authorization, so that there every request costs as the first. Cookies they all index.",
		"Look-ups: calls of the session store for a live (hit), an ended (miss) and a forged (bad) credential. With the embedded store each is a read from memory; " +
			"with Valkey, a hit is answered from the gateway's memory, and a miss is one round trip.",
		revocationNote(r),
		fmt.Sprintf("Money: %s requests a day, %d days, %s for 10^9 bytes; HTTP/2 with %d requests a connection. Requests come in, and many clouds bill only what goes out: "+
			"take a price that you do pay for them (CDN, load balancer, NAT, between zones), or 0.",
			grouped(a.RequestsPerDay), a.DaysPerMonth, price(a.PricePerGB), a.RequestsPerConnection),
	}
}

func revocationNote(r *Report) string {
	return fmt.Sprintf("Revoked: here, microseconds from the revocation until another gateway refuses, both in this process (over Valkey, between processes, the 99th percentile is 2 ms); "+
		"for a JWT by the list that is pushed to every gateway. Else: whoever verifies the JWT without that list accepts it until it expires. It is assumed to live for %s.",
		spell(time.Duration(r.Assumed.TokenLifetimeSeconds*float64(time.Second))))
}

func width(s string) int { return utf8.RuneCountInString(s) }

// wrap breaks a paragraph into lines, the second and further ones indented.
func wrap(text string, columns int) string {
	var b strings.Builder
	at := 0
	for i, word := range strings.Fields(text) {
		switch {
		case i == 0:
		case at+1+width(word) > columns:
			b.WriteString("\n  ")
			at = 2
		default:
			b.WriteByte(' ')
			at++
		}
		b.WriteString(word)
		at += width(word)
	}
	b.WriteByte('\n')
	return b.String()
}
