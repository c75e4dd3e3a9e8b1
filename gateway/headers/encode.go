package headers

import (
	"encoding/base64"
	"strings"
	"unicode"
	"unicode/utf8"
)

// encoding is how a value that is not plain ASCII stands in a header.
type encoding uint8

const (
	percent     encoding = iota // what is not printable ASCII as %XX
	utf8Text                    // what is not printable as %XX
	base64Text                  // RFC 4648, section 4
	rfc2047Text                 // encoded-words
	jsonText                    // RFC 8259, in ASCII
)

func encodingOf(name string) (encoding, bool) {
	switch name {
	case "", "percent":
		return percent, true
	case "utf8":
		return utf8Text, true
	case "base64":
		return base64Text, true
	case "rfc2047":
		return rfc2047Text, true
	case "json":
		return jsonText, true
	}
	return percent, false
}

// item encodes one value, or one item of a list: also are the characters that
// would end it.
func (e encoding) item(s, also string) string {
	switch e {
	case utf8Text:
		return escapeText(s, also)
	case base64Text, rfc2047Text: // finish hides everything else
		if also == "" {
			return s
		}
		return escapeOnly(s, also)
	case percent, jsonText:
	}
	return escape(s, also)
}

// finish puts the last layer around a value.
func (e encoding) finish(s string) string {
	switch e {
	case base64Text:
		return base64.StdEncoding.EncodeToString([]byte(s))
	case rfc2047Text:
		return encodedWords(s)
	case percent, utf8Text, jsonText:
	}
	return s
}

const upperHex = "0123456789ABCDEF"

// escape percent-encodes what cannot stand in a header value as it is: '%'
// itself, controls, everything beyond ASCII (and so every line break that
// Unicode knows), a space at either end, and the characters of also.
// Percent-decoding gives s back.
func escape(s, also string) string {
	return escapeFunc(s, func(i int) bool {
		c := s[i]
		return c < ' ' || c > '~' || c == '%' || (c == ' ' && (i == 0 || i == len(s)-1)) || strings.IndexByte(also, c) >= 0
	})
}

// escapeText is escape, but what can be printed beyond ASCII stays: no line break
// of Unicode, nothing that turns the direction of a line, no broken UTF-8.
func escapeText(s, also string) string {
	kept := make([]bool, len(s)) // the bytes of runes beyond ASCII that stay
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		if size > 1 && (unicode.IsPrint(r) || isJoiner(r)) {
			for j := range size {
				kept[i+j] = true
			}
		}
		i += size
	}
	return escapeFunc(s, func(i int) bool {
		c := s[i]
		return !kept[i] && (c < ' ' || c > '~' || c == '%' || (c == ' ' && (i == 0 || i == len(s)-1)) || strings.IndexByte(also, c) >= 0)
	})
}

// isJoiner knows the two characters without a width that names in Persian and
// Indic scripts, and pictures of people, are written with.
func isJoiner(r rune) bool { return r == '\u200c' || r == '\u200d' }

// escapeOnly percent-encodes '%' and the characters of also. It serves values
// that another encoding will carry safely.
func escapeOnly(s, also string) string {
	return escapeFunc(s, func(i int) bool { return s[i] == '%' || strings.IndexByte(also, s[i]) >= 0 })
}

func escapeFunc(s string, must func(i int) bool) string {
	n := 0
	for i := range len(s) {
		if must(i) {
			n++
		}
	}
	if n == 0 {
		return s
	}
	b := make([]byte, 0, len(s)+2*n)
	for i := range len(s) {
		if c := s[i]; must(i) {
			b = append(b, '%', upperHex[c>>4], upperHex[c&15])
		} else {
			b = append(b, c)
		}
	}
	return string(b)
}

// maxWord is how many bytes an encoded-word of 75 characters can hold.
const maxWord = 45

// encodedWords is RFC 2047, section 2, in base64. Package mime would leave tabs,
// spaces at the ends and what looks like an encoded-word already as they are.
func encodedWords(s string) string {
	if isPlain(s) {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		n := min(len(s), maxWord)
		for n < len(s) && n > maxWord-utf8.UTFMax && !utf8.RuneStart(s[n]) {
			n-- // a character must not be torn apart (section 5)
		}
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString("=?utf-8?b?" + base64.StdEncoding.EncodeToString([]byte(s[:n])) + "?=")
		s = s[n:]
	}
	return b.String()
}

func isPlain(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return !strings.Contains(s, "=?") && strings.TrimSpace(s) == s
}
