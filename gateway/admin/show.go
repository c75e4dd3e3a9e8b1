package admin

import (
	"fmt"
	"html/template"
	"time"
)

// functions are what templates can call.
func functions() template.FuncMap {
	return template.FuncMap{
		"ago":  func(t time.Time) string { return ago(time.Now(), t) },
		"when": when,
	}
}

// when is a time as people read it.
func when(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format("2006-01-02 15:04:05 UTC")
}

// ago is how long ago a time was, or how far it is, in one unit.
func ago(now, t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	if d := t.Sub(now); d > time.Second {
		return "in " + span(d)
	}
	if d := now.Sub(t); d >= time.Second {
		return span(d) + " ago"
	}
	return "just now"
}

func span(d time.Duration) string {
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}
