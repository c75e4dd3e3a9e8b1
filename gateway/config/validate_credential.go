package config

import (
	"fmt"
	"strings"
)

// upstreamCredential checks how the gateway signs in to the application of a route.
// What a file of users holds is read when the gateway is built.
func (k *checker) upstreamCredential(route string, r Route) {
	at, c := route+".upstream_credential", r.UpstreamCredential
	if !k.given(at) {
		return
	}
	if r.Public {
		k.fault(at, "would sign in everybody who comes: a public route asks nobody who he is", "remove it, or public: true")
	}
	var kinds []string
	for _, one := range []struct {
		key   string
		given bool
	}{
		{"username and password_file", c.Username != "" || c.PasswordFile != ""},
		{"token_file", c.TokenFile != ""},
		{"users_file", c.UsersFile != ""},
	} {
		if one.given {
			kinds = append(kinds, one.key)
		}
	}
	switch {
	case len(kinds) == 0:
		k.missing(at, "has no credential", "write username and password_file, or token_file, or users_file")
	case len(kinds) > 1:
		k.fault(at, "has "+strings.Join(kinds, " and ")+", which are several credentials", "keep one of them")
	}
	if c.Username != "" || c.PasswordFile != "" {
		k.basicCredential(at, c)
	}
	k.secret(at, "token", "", c.TokenFile)
	k.file(at+".users_file", c.UsersFile)
	if c.Optional && c.UsersFile == "" {
		k.fault(at+".optional", "applies to users_file, where a user can be without an entry", "remove it")
	}
}

// basicCredential checks a user name and its file (RFC 7617, section 2).
func (k *checker) basicCredential(at string, c UpstreamCredential) {
	switch {
	case c.Username == "":
		k.missing(at+".username", "is missing beside password_file", "write the name by which the application knows the gateway")
	case strings.Contains(c.Username, ":") || !isPlainText(c.Username):
		k.fault(at+".username", fmt.Sprintf("%q has a colon, or characters that are no text", shorten(c.Username)), "write a name without")
	}
	if c.PasswordFile == "" {
		k.missing(at+".password_file", "is missing beside username", "write password_file: FILE")
		return
	}
	k.secret(at, "password", "", c.PasswordFile)
}
