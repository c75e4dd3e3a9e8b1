//go:build e2e

package e2e_test

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	neturl "net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway/e2e/env"
)

// sallyport is the binary of the gateway, which all tests share.
var sallyport string

func TestMain(m *testing.M) { os.Exit(env.Main(m, &sallyport)) }

// client is a program that talks to the gateway. It follows no redirects.
func client(t *testing.T) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{
		Timeout:       10 * time.Second,
		Jar:           jar,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

type answer struct {
	status int
	header http.Header
	body   string
}

func (a *answer) cookies() []*http.Cookie { return (&http.Response{Header: a.header}).Cookies() }

// send sends one request; headers are name, value, name, value.
func send(t *testing.T, c *http.Client, method, url string, headers ...string) answer {
	t.Helper()
	return sendBody(t, c, method, url, "", headers...)
}

func sendBody(t *testing.T, c *http.Client, method, url, body string, headers ...string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	env.Harvest(url, nil)
	env.HarvestHeader(req.Header)
	env.HarvestHeader(res.Header)
	if form, err := neturl.ParseQuery(body); err == nil {
		env.HarvestForm(form)
	}
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, string(text)}
}
