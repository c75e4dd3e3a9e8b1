package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sallyport/sallyport/gateway/jose"
)

// waitFor URL [CA] polls until something answers there, by https with a certificate
// of the authority.
func waitFor(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 || len(args) > 2 {
		ts.Fatalf("usage: waitfor URL [CA]")
	}
	var headers []string
	if len(args) == 2 {
		headers = []string{"ca:" + args[1]}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := get(ctx, args[0], headers); err == nil {
			return
		}
		select {
		case <-ctx.Done():
			ts.Fatalf("nothing answers at %s", args[0])
		case <-tick.C:
		}
	}
}

// waitOut REGEXP COMMAND... runs a command again and again until its output matches,
// or with ! no longer does.
func waitOut(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: [!] waitout REGEXP COMMAND...")
	}
	want := regexp.MustCompile("(?m)" + args[0])
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		if err := ts.Exec(args[1], args[2:]...); err == nil && want.MatchString(ts.ReadFile("stdout")) != neg {
			return
		}
		select {
		case <-deadline:
			ts.Fatalf("not within 20 s: %s", args[0])
		case <-tick.C:
		}
	}
}

// fetch STATUS URL [NAME:VALUE...] asks for a URL with headers, checks the
// status, and leaves the answer in the files "headers" and "body". ca:FILE is the
// authority to trust.
func fetch(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: fetch STATUS URL [NAME:VALUE...]")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	got, err := get(ctx, args[1], args[2:])
	ts.Check(err)
	if got.status != args[0] {
		ts.Fatalf("%s: %s, want %s\n%s", args[1], got.status, args[0], got.body)
	}
	ts.Check(writeFile(ts.MkAbs("body"), got.body))
	ts.Check(writeFile(ts.MkAbs("headers"), got.headers))
}

// waitUntil STATUS URL [NAME:VALUE...] polls until the answer has that status.
func waitUntil(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: waituntil STATUS URL [NAME:VALUE...]")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		got, err := get(ctx, args[1], args[2:])
		if err == nil && got.status == args[0] {
			return
		}
		select {
		case <-ctx.Done():
			ts.Fatalf("%s never answered %s, but %s (%v)", args[1], args[0], got.status, err)
		case <-tick.C:
		}
	}
}

type fetched struct{ status, headers, body string }

func get(ctx context.Context, url string, headers []string) (fetched, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fetched{}, err
	}
	ca := ""
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ":")
		if name == "ca" {
			ca = value
			continue
		}
		req.Header.Set(name, value)
	}
	client, err := scriptClient(ca)
	if err != nil {
		return fetched{}, err
	}
	defer client.CloseIdleConnections()
	res, err := client.Do(req)
	if err != nil {
		return fetched{}, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	status, _, _ := strings.Cut(res.Status, " ")
	var fields strings.Builder
	_ = res.Header.Write(&fields)
	return fetched{status: status, headers: fields.String(), body: string(text)}, err
}

// scriptClient follows no redirect, finds every name below localhost on this
// machine, and trusts the authority in a file.
func scriptClient(ca string) (*http.Client, error) {
	t := &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		if host, port, err := net.SplitHostPort(address); err == nil && strings.HasSuffix(host, "localhost") {
			address = net.JoinHostPort("127.0.0.1", port)
		}
		return new(net.Dialer).DialContext(ctx, network, address)
	}}
	if ca != "" {
		text, err := os.ReadFile(ca)
		if err != nil {
			return nil, err
		}
		t.TLSClientConfig = &tls.Config{RootCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS12}
		if !t.TLSClientConfig.RootCAs.AppendCertsFromPEM(text) {
			return nil, errors.New(ca + " holds no certificate")
		}
	}
	return &http.Client{
		Transport:     t,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

// signin BASE USER [ca:FILE] signs a user of the provider dev in, and sets $COOKIE.
func signInAs(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || len(args) > 3 {
		ts.Fatalf("usage: signin BASE USER [ca:FILE]")
	}
	ca := ""
	if len(args) == 3 {
		ca = strings.TrimPrefix(args[2], "ca:")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	form := url.Values{"provider": {"dev"}, "username": {args[1]}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, args[0]+"/.auth/login", strings.NewReader(form.Encode()))
	ts.Check(err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	client, err := scriptClient(ca)
	ts.Check(err)
	defer client.CloseIdleConnections()
	res, err := client.Do(req)
	ts.Check(err)
	defer res.Body.Close()
	if res.StatusCode != http.StatusSeeOther || len(res.Cookies()) == 0 {
		ts.Fatalf("signing %s in: %s", args[1], res.Status)
	}
	cookie := res.Cookies()[0]
	ts.Setenv("COOKIE", cookie.Name+"="+cookie.Value)
}

// exitCode CODE COMMAND... runs a command that ends by itself and checks its
// exit code.
func exitCode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exitcode CODE COMMAND...")
	}
	err := ts.Exec(args[1], args[2:]...)
	code := 0
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		code = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if strconv.Itoa(code) != args[0] {
		ts.Fatalf("exit code %d, want %s", code, args[0])
	}
}

// terminate sends SIGTERM to the only command in the background.
func terminate(ts *testscript.TestScript, neg bool, args []string) {
	background := ts.BackgroundCmds()
	if neg || len(args) != 0 || len(background) != 1 {
		ts.Fatalf("usage: terminate, with one command in the background")
	}
	ts.Check(background[0].Process.Signal(syscall.SIGTERM))
}

// sign FILE SECRET [NAME=VALUE...] writes a JWT that is signed with a secret,
// with these claims over good ones; a number becomes a date that many seconds
// from now. The token is also in $TOKEN.
func sign(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: sign FILE SECRET [NAME=VALUE...]")
	}
	signer, err := jose.NewSecretSigner("HS256", "", []byte(args[1]))
	ts.Check(err)
	now := time.Now()
	claims := map[string]any{
		"iss": "shared", "aud": "api", "sub": "alice", "jti": "t1",
		"iat": now.Add(-10 * time.Second).Unix(), "exp": now.Add(time.Hour).Unix(),
	}
	for _, arg := range args[2:] {
		name, value, _ := strings.Cut(arg, "=")
		claims[name] = value
		if seconds, err := strconv.ParseInt(value, 10, 64); err == nil {
			claims[name] = now.Unix() + seconds
		}
	}
	token, err := signer.Sign("at+jwt", claims)
	ts.Check(err)
	ts.Setenv("TOKEN", token)
	ts.Check(writeFile(ts.MkAbs(args[0]), token+"\n"))
}

// untilfile FILE PATTERN waits until a file, which a command in the background writes,
// has a match of a regular expression.
func untilFile(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: untilfile FILE PATTERN")
	}
	pattern, err := regexp.Compile(args[1])
	ts.Check(err)
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		text, err := os.ReadFile(ts.MkAbs(args[0]))
		if err == nil && pattern.Match(text) {
			return
		}
		select {
		case <-deadline:
			ts.Fatalf("nothing in %s matches %s:\n%s", args[0], args[1], text)
		case <-tick.C:
		}
	}
}

// capture NAME FILE PATTERN sets $NAME to the first match of a regular
// expression in a file; "stdout" is what the last command wrote.
func capture(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: capture NAME FILE PATTERN")
	}
	pattern, err := regexp.Compile(args[2])
	ts.Check(err)
	found := pattern.FindString(ts.ReadFile(args[1]))
	if found == "" {
		ts.Fatalf("nothing in %s matches %s", args[1], args[2])
	}
	ts.Setenv(args[0], found)
}
