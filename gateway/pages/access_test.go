package pages_test

import (
	"fmt"
	"math"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/gateway/palette"
)

// TestEveryPageIsReadableWithoutEyesOrMouse checks what a screen reader and a
// keyboard need: language, landmarks, one heading, a label for every field.
func TestEveryPageIsReadableWithoutEyesOrMouse(t *testing.T) {
	t.Parallel()
	for _, s := range samples() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			elements, _ := parse(t, s.serve(t, "", same).Body.String())
			count, ids, labelled, refs := map[string]int{}, map[string]int{}, map[string]bool{}, []string{}
			for _, e := range elements {
				count[e.Name]++
				if id, ok := e.Attrs["id"]; ok {
					ids[id]++
				}
				if e.Name == "label" {
					labelled[e.Attrs["for"]] = true
				}
				for _, attr := range []string{"aria-labelledby", "aria-describedby", "for"} {
					if v, ok := e.Attrs[attr]; ok {
						refs = append(refs, v)
					}
				}
			}
			for name, want := range map[string]int{"html": 1, "title": 1, "main": 1, "header": 1, "h1": 1, "script": s.scripts(), "iframe": 0, "img": 0, "base": 0} {
				if count[name] != want {
					t.Errorf("%d %s elements, want %d", count[name], name, want)
				}
			}
			if elements[0].Attrs["lang"] != "en" {
				t.Error("no language")
			}
			for id, n := range ids {
				if n > 1 {
					t.Errorf("id %q is given %d times", id, n)
				}
			}
			for _, id := range refs {
				if ids[id] == 0 {
					t.Errorf("nothing has the id %q", id)
				}
			}
			for _, e := range elements {
				if e.Name != "input" || e.Attrs["type"] == "hidden" {
					continue
				}
				if !labelled[e.Attrs["id"]] {
					t.Errorf("field %q has no label", e.Attrs["name"])
				}
				want := map[string]string{"username": "username", "password": "current-password"}[e.Attrs["name"]]
				if e.Attrs["autocomplete"] != want {
					t.Errorf("field %q: autocomplete %q, want %q", e.Attrs["name"], e.Attrs["autocomplete"], want)
				}
			}
		})
	}
}

// TestNothingMoves keeps the pages still, for those whom motion makes ill: what is
// not there needs no prefers-reduced-motion.
func TestNothingMoves(t *testing.T) {
	t.Parallel()
	css, err := os.ReadFile("templates/style.css")
	if err != nil {
		t.Fatal(err)
	}
	if m := regexp.MustCompile(`(?i)\b(animation|transition|@keyframes|scroll-behavior)\b[^;]*`).Find(css); m != nil {
		t.Errorf("the style sheet has %s", m)
	}
}

// TestColoursCanBeTold measures the contrast of every pair of colours that is
// put together (WCAG 2.2, success criteria 1.4.3 and 1.4.11), light and dark.
func TestColoursCanBeTold(t *testing.T) {
	t.Parallel()
	colour := regexp.MustCompile(`--([a-z-]+): #([0-9a-f]{6});`)
	schemes := map[string]map[string]string{"light": {}, "dark": {}}
	light, dark, ok := strings.Cut(palette.CSS(), "@media (prefers-color-scheme: dark)")
	if !ok {
		t.Fatal("no dark colours")
	}
	for name, part := range map[string]string{"light": light, "dark": dark} {
		for _, m := range colour.FindAllStringSubmatch(part, -1) {
			schemes[name][m[1]] = m[2]
		}
	}
	pairs := []struct {
		front, back string
		least       float64
	}{
		{"ink", "back", 4.5},
		{"ink", "card", 4.5},
		{"ink", "tint", 4.5},
		{"soft", "back", 4.5},
		{"soft", "card", 4.5},
		{"soft", "tint", 4.5},
		{"accent-ink", "accent", 4.5},
		{"accent-ink", "accent-strong", 4.5},
		{"bad", "bad-tint", 4.5},
		{"bad", "card", 4.5},
		{"warn", "warn-tint", 4.5},
		{"warn", "card", 4.5},
		{"accent", "tint", 4.5},
		{"other", "card", 4.5},
		{"edge", "card", 3},
		{"accent", "card", 3},
		{"accent", "back", 3},
	}
	for name, c := range schemes {
		for _, p := range pairs {
			if got := contrast(t, c[p.front], c[p.back]); got < p.least {
				t.Errorf("%s: %s on %s has a contrast of %.2f, want %.1f", name, p.front, p.back, got, p.least)
			}
		}
	}
}

func contrast(t *testing.T, a, b string) float64 {
	t.Helper()
	la, lb := luminance(t, a), luminance(t, b)
	return (max(la, lb) + 0.05) / (min(la, lb) + 0.05)
}

func luminance(t *testing.T, hex string) float64 {
	t.Helper()
	n, err := strconv.ParseUint(hex, 16, 32)
	if err != nil {
		t.Fatal(fmt.Errorf("colour %q: %w", hex, err))
	}
	sum := 0.0
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		v := float64(n>>(16-8*i)&0xff) / 255
		if v <= 0.04045 {
			v /= 12.92
		} else {
			v = math.Pow((v+0.055)/1.055, 2.4)
		}
		sum += weight * v
	}
	return sum
}
