package pages

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"html/template"
	"math"
	"net/http"
	"strconv"
	"strings"
)

// MaxLogo is the largest logo in bytes. It is a part of every page.
const MaxLogo = 64 << 10

// CheckLogo fails on what New would refuse as a logo.
func CheckLogo(picture []byte) error {
	_, err := logoURL(picture)
	return err
}

// logoURL puts a picture into a data: URL, so that a page still needs nothing
// but itself. An img element runs no script of an SVG.
func logoURL(picture []byte) (template.URL, error) {
	if len(picture) == 0 {
		return "", nil
	}
	if len(picture) > MaxLogo {
		return "", fmt.Errorf("the logo is larger than %d KiB", MaxLogo>>10)
	}
	kind := http.DetectContentType(picture)
	switch kind {
	case "image/png", "image/jpeg", "image/webp", "image/gif":
	default:
		if !bytes.Contains(picture, []byte("<svg")) || bytes.IndexByte(picture, 0) >= 0 {
			return "", fmt.Errorf("the logo is no SVG, PNG, JPEG, WebP or GIF")
		}
		kind = "image/svg+xml"
	}
	return template.URL("data:" + kind + ";base64," + base64.StdEncoding.EncodeToString(picture)), nil //nolint:gosec // a picture of the operator
}

// brandCSS colours buttons in both schemes. The text on them is black or white,
// whichever can be told better (one of them always has a contrast of 4.5), and
// the focus is drawn in the colour of the text of the page, because this colour
// may be too near to the page's own; buttons get an edge for that reason. It returns "" for no colour, and fails on
// anything but #rrggbb: the value becomes a part of the style sheet.
func brandCSS(colour string) (string, error) {
	if colour == "" {
		return "", nil
	}
	hex, ok := strings.CutPrefix(colour, "#")
	n, err := strconv.ParseUint(hex, 16, 32)
	if !ok || err != nil || len(hex) != 6 {
		return "", fmt.Errorf("the colour %q is not of the form #0f6b5b", colour)
	}
	rgb := [3]uint64{n >> 16, n >> 8 & 0xff, n & 0xff}
	ink, towards := "#ffffff", 0.0
	if l := luminance(rgb); 1.05/(l+0.05) < (l+0.05)/0.05 {
		ink, towards = "#000000", 255
	}
	strong := [3]uint64{} // away from the ink, so that it can only be read better
	for i, v := range rgb {
		strong[i] = uint64(math.Round(float64(v) + (towards-float64(v))*0.2))
	}
	return fmt.Sprintf(":root { --accent: #%06x; --accent-ink: %s; --accent-strong: #%02x%02x%02x; --focus: var(--ink); }\n.button { border-color: var(--edge); }\n",
		n, ink, strong[0], strong[1], strong[2]), nil
}

// luminance is the relative luminance of WCAG 2.2.
func luminance(rgb [3]uint64) float64 {
	sum := 0.0
	for i, weight := range [3]float64{0.2126, 0.7152, 0.0722} {
		v := float64(rgb[i]) / 255
		if v <= 0.04045 {
			v /= 12.92
		} else {
			v = math.Pow((v+0.055)/1.055, 2.4)
		}
		sum += weight * v
	}
	return sum
}
