package lint

import "strings"

// ReferenceURL is where a reference of a code can be read.
func ReferenceURL(reference string) string {
	kind, number, _ := strings.Cut(reference, " ")
	switch kind {
	case "ASVS": // ASVS 3.3.2: a requirement of OWASP ASVS 5.0
		chapter, _, _ := strings.Cut(number, ".")
		return "https://github.com/OWASP/ASVS/blob/v5.0.0/5.0/en/" + asvsChapter(chapter) + ".md"
	case "RFC": // RFC 6797 section 6.1.1
		rfc, section, _ := strings.Cut(number, " section ")
		return "https://www.rfc-editor.org/rfc/rfc" + rfc + "#section-" + section
	case "CWE": // CWE 770
		return "https://cwe.mitre.org/data/definitions/" + number + ".html"
	case "OpenID": // OpenID Connect Core 1.0 section 5.7
		return "https://openid.net/specs/openid-connect-core-1_0.html"
	case "Sallyport": // Sallyport docs/listeners.md
		return strings.TrimPrefix(number, "docs/")
	}
	return ""
}

// asvsChapter is the file of a chapter of OWASP ASVS 5.0.
func asvsChapter(number string) string {
	return map[string]string{
		"3":  "0x12-V3-Web-Frontend-Security",
		"4":  "0x13-V4-API-and-Web-Service",
		"6":  "0x15-V6-Authentication",
		"7":  "0x16-V7-Session-Management",
		"8":  "0x17-V8-Authorization",
		"9":  "0x18-V9-Self-contained-Tokens",
		"10": "0x19-V10-OAuth-and-OIDC",
		"11": "0x20-V11-Cryptography",
		"12": "0x21-V12-Secure-Communication",
		"13": "0x22-V13-Configuration",
	}[number]
}
