package config

import (
	"fmt"
	"slices"
	"strings"
)

func (k *checker) tls() {
	const at = "server.tls"
	t := k.Server.TLS
	if !k.pair(at, t.CertFile, t.KeyFile) && t.ClientCAFile != "" && !t.Given() {
		k.missing(at+".cert_file", "is missing beside client_ca_file", "write cert_file and key_file: client certificates need TLS here")
	}
	k.file(at+".cert_file", t.CertFile)
	k.file(at+".key_file", t.KeyFile)
	for i, c := range t.Certificates {
		entry := item(at+".certificates", i)
		if c.CertFile == "" {
			k.missing(entry+".cert_file", "is missing", "write cert_file: FILE")
		}
		if c.KeyFile == "" {
			k.missing(entry+".key_file", "is missing", "write key_file: FILE")
		}
		k.file(entry+".cert_file", c.CertFile)
		k.file(entry+".key_file", c.KeyFile)
	}
	k.file(at+".client_ca_file", t.ClientCAFile)
	k.oneOf(at+".min_version", t.MinVersion, "1.2", "1.3")
	k.oneOf(at+".client_subject", t.ClientSubject, ClientSubjectCN, ClientSubjectDN, ClientSubjectURI, ClientSubjectDNS, ClientSubjectEmail)
	k.acme()
	if t.Given() && k.everyListenerPlain() && !k.lost.touches("server.listeners") {
		k.fault("server.listeners", "are all plain, so that the certificates of server.tls are never used", "remove plain from one, or remove server.tls")
	}
}

// acme checks what an authority would refuse, before it counts the attempt.
func (k *checker) acme() {
	const at = "server.tls.acme"
	a := k.Server.TLS.ACME
	if k.given(at) && !a.Given() {
		k.missing(at+".domains", "is missing or empty", "write the names to get certificates for, such as [app.example.com]")
		return
	}
	if !a.Given() {
		return
	}
	for i, d := range a.Domains {
		path := item(at+".domains", i)
		switch {
		case strings.HasPrefix(d, "*."):
			k.fault(path, fmt.Sprintf("%q is a wildcard, which these challenges can't prove", shorten(d)), "list the names, or give such a certificate in server.tls.certificates")
		case !isHostName(d) || d != strings.ToLower(d):
			k.fault(path, fmt.Sprintf("%q is not a host name in lower case", shorten(d)), "write it as app.example.com")
		case slices.Contains(a.Domains[:i], d):
			k.fault(path, fmt.Sprintf("%q is there twice", shorten(d)), "remove it")
		}
	}
	if !a.AcceptTerms {
		k.missing(at+".accept_terms", "is missing: the authority asks for the consent to its terms", "read them, and write accept_terms: true")
	}
	if a.Email != "" && (!isPlainText(a.Email) || strings.Count(a.Email, "@") != 1 || strings.ContainsAny(a.Email, " ,<>")) {
		k.fault(at+".email", fmt.Sprintf("%q is not an address", shorten(a.Email)), "write it as ops@example.com")
	}
	if _, problem := (urlShape{schemes: []string{"https"}, path: true, query: true}).parse(a.DirectoryURL); problem != "" {
		k.fault(at+".directory_url", problem, "write the https URL of the authority's directory, or remove it for Let's Encrypt's")
	}
	k.file(at+".ca_file", a.CAFile)
	if a.Storage == "" {
		k.missing(at+".storage", "is empty", "name a folder that outlives the process: authorities limit how often they issue a certificate anew")
	}
}

// pair checks a certificate and its key, and reports whether one of them is missing.
func (k *checker) pair(at, cert, key string) (incomplete bool) {
	switch {
	case cert != "" && key == "":
		k.missing(at+".key_file", "is missing beside cert_file", "write key_file: FILE")
	case key != "" && cert == "":
		k.missing(at+".cert_file", "is missing beside key_file", "write cert_file: FILE")
	default:
		return false
	}
	return true
}

// listenerTLS checks the certificate of a listener that is not public.
func (k *checker) listenerTLS(at string, t ListenerTLS) {
	if !k.pair(at, t.CertFile, t.KeyFile) && t.ClientCAFile != "" && t.CertFile == "" {
		k.missing(at+".cert_file", "is missing beside client_ca_file", "write cert_file and key_file: client certificates need TLS here")
	}
	k.file(at+".cert_file", t.CertFile)
	k.file(at+".key_file", t.KeyFile)
	k.file(at+".client_ca_file", t.ClientCAFile)
}

// clientTLS checks the keys of TLS to a server. It refuses them where there is no
// TLS, because somebody believes then that the connection is encrypted.
func (k *checker) clientTLS(at string, t ClientTLS, plain bool, because, fix string) {
	for _, key := range [][2]string{{"ca_file", t.CAFile}, {"cert_file", t.CertFile}, {"key_file", t.KeyFile}, {"server_name", t.ServerName}} {
		if plain && key[1] != "" {
			k.fault(at+"."+key[0], "does not apply, because "+because, fix)
		}
	}
	k.pair(at, t.CertFile, t.KeyFile)
	k.file(at+".ca_file", t.CAFile)
	k.file(at+".cert_file", t.CertFile)
	k.file(at+".key_file", t.KeyFile)
	if t.ServerName != "" && !isHost(t.ServerName) {
		k.fault(at+".server_name", fmt.Sprintf("%q is not a host name", shorten(t.ServerName)), "write the name in the certificate, without a port")
	}
}
