// Package palette has the colours of every page that the gateway shows, light and
// dark, as CSS custom properties. What is coloured with them is the pages' own.
package palette

import _ "embed" // the style sheet

//go:embed palette.css
var css string

// CSS returns the style sheet that sets the colours; a page's own comes after it.
func CSS() string { return css }
