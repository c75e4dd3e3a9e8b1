package headers

import "net/http"

// Applications that follow CGI, WSGI, Rack or PHP turn every header name into
// upper case with all separators as underscores, so that X_Forwarded_User and
// X.Forwarded.User arrive under the name of X-Forwarded-User. Names are
// therefore compared folded: letters and digits only, in lower case.

// maxFolded is how many letters and digits of a name are looked at. No name
// that is to be deleted as a whole is longer.
const maxFolded = 96

// Strip deletes from h every identity header of any known family and of this
// set, and the headers by which proxies tell applications where a request came
// from and what it was, in every spelling. It also works on maps whose keys are
// not canonical. It does not allocate.
//
// X-Forwarded-For, -Host and -Proto go as well; the proxy sets its own
// afterwards, from the request as it came in.
func (s *Set) Strip(h http.Header) {
	if s == nil {
		s = &Set{pairs: knownPairs()}
	}
	for name := range h {
		if s.pairs.has(name) && s.strips(name) {
			delete(h, name)
		}
	}
}

// Strips reports whether Strip deletes a header of this name.
func (s *Set) Strips(name string) bool {
	if s == nil {
		s = &Set{pairs: knownPairs()}
	}
	return s.pairs.has(name) && s.strips(name)
}

func (s *Set) strips(name string) bool {
	var buf [maxFolded]byte
	n := 0
	for i := 0; i < len(name) && n < maxFolded; i++ {
		if c := foldByte(name[i]); c != 0 {
			buf[n] = c
			n++
		}
	}
	folded := buf[:n]
	_, own := s.own[string(folded)]
	return own || known(folded)
}

// known reports whether a folded name belongs to a family that only a gateway
// or a proxy may set. string(b) in comparisons does not allocate.
func known(b []byte) bool {
	if len(b) == 0 {
		return false
	}
	switch b[0] {
	case 'x':
		return knownX(b[1:])
	case 'c':
		return starts(b, "cfaccess") || starts(b, "cfconnectingip") || starts(b, "clientcert") || starts(b, "clientip")
	case 'f':
		return string(b) == "forwarded"
	case 'p':
		return string(b) == "proxy"
	case 'r':
		return starts(b, "remoteuser") || starts(b, "remotegroup") || starts(b, "remotename") || starts(b, "remoteemail")
	case 's':
		return starts(b, "sallyport") || starts(b, "sslclient")
	case 't':
		return starts(b, "trueclientip")
	}
	return false
}

// knownX is known for what follows the X.
func knownX(b []byte) bool {
	if len(b) == 0 {
		return false
	}
	switch b[0] {
	case 'a':
		return starts(b, "authrequest") || starts(b, "authenticated") || starts(b, "authentik") || starts(b, "amznoidc")
	case 'c':
		return starts(b, "clientip") || starts(b, "clientcert") || starts(b, "clusterclientip")
	case 'f':
		return starts(b, "forwarded")
	case 'g':
		return starts(b, "googiap") || starts(b, "googauthenticateduser")
	case 'm':
		return starts(b, "msclientprincipal")
	case 'o':
		return starts(b, "original")
	case 'p':
		return starts(b, "pomerium")
	case 'r':
		return starts(b, "remote") || starts(b, "realip") || starts(b, "rewriteurl")
	case 's':
		return starts(b, "sslclient")
	case 'v':
		return starts(b, "vouch")
	case 'w':
		return starts(b, "webauth")
	}
	return false
}

// knownPairs are the beginnings of the names in known.
func knownPairs() (p pairSet) {
	for _, folded := range []string{
		"xa", "xc", "xf", "xg", "xm", "xo", "xp", "xr", "xs", "xv", "xw", "cf", "cl", "fo", "pr", "re", "sa", "ss", "tr",
	} {
		p.add(folded)
	}
	return p
}

func starts(b []byte, prefix string) bool {
	return len(b) >= len(prefix) && string(b[:len(prefix)]) == prefix
}

// pairSet is a set of pairs of folded characters, a bit for each. Most header
// names are let go after a look at their first two.
type pairSet [36*36/64 + 1]uint64

func (p *pairSet) add(folded string) {
	n := pairOf(folded)
	p[n/64] |= 1 << (n % 64)
}

func (p *pairSet) has(name string) bool {
	n := pairOf(name)
	return p[n/64]&(1<<(n%64)) != 0
}

// pairOf numbers the first two letters or digits of name. A name that has only
// one counts as if it were doubled.
func pairOf(name string) int {
	if len(name) >= 2 { // nearly every name begins with two letters, or with X-
		a, b := (name[0]|0x20)-'a', (name[1]|0x20)-'a'
		if a < 26 && b < 26 {
			return (int(a)+10)*36 + int(b) + 10
		}
	}
	first, i := -1, 0
	for ; i < len(name); i++ {
		c := foldByte(name[i])
		if c == 0 {
			continue
		}
		if first >= 0 {
			return first*36 + ordinal(c)
		}
		first = ordinal(c)
	}
	return max(first, 0) * 37
}

func ordinal(folded byte) int {
	if folded >= 'a' {
		return int(folded-'a') + 10
	}
	return int(folded - '0')
}

// foldByte returns c in lower case where it is an ASCII letter or digit, and 0
// for everything else.
func foldByte(c byte) byte {
	switch {
	case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
		return c
	case 'A' <= c && c <= 'Z':
		return c + ('a' - 'A')
	}
	return 0
}

// SameName reports whether an application may take one header name for another:
// letters and digits are the same, whatever is between them. It does not allocate.
func SameName(a, b string) bool {
	i, j := 0, 0
	for {
		for i < len(a) && foldByte(a[i]) == 0 {
			i++
		}
		for j < len(b) && foldByte(b[j]) == 0 {
			j++
		}
		if i == len(a) || j == len(b) {
			return i == len(a) && j == len(b)
		}
		if foldByte(a[i]) != foldByte(b[j]) {
			return false
		}
		i++
		j++
	}
}

func foldName(name string) string {
	b := make([]byte, 0, len(name))
	for i := range len(name) {
		if c := foldByte(name[i]); c != 0 {
			b = append(b, c)
		}
	}
	return string(b)
}
