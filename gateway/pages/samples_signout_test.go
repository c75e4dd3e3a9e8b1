package pages_test

import (
	"net/http"
	"time"

	"github.com/sallyport/sallyport/gateway/pages"
)

func signOutSamples() []sample {
	at := time.Date(2026, 11, 23, 9, 30, 0, 0, time.UTC)
	return []sample{
		{name: "sessions", target: "/.auth/sessions", draw: func(p *pages.Renderer, w http.ResponseWriter, r *http.Request, in func(string) string) error {
			return p.Sessions(w, r, pages.SessionsPage{Who: in("alice@example.com"), FormToken: in("form-token"), Sessions: []pages.SessionView{
				{ID: in("0123456789abcdef"), Current: true, Provider: in("corp"), Browser: in("Firefox"), System: in("Linux"), Address: in("2001:db8::1"), Began: at, Used: at.Add(time.Hour)},
				{ID: in("fedcba9876543210"), Provider: in("corp"), Browser: in("curl"), Address: in("192.0.2.1"), Began: at, Used: at},
				{ID: in("0000000000000000"), Began: at},
			}})
		}},
		{name: "sessions_only_this", target: "/.auth/sessions", draw: func(p *pages.Renderer, w http.ResponseWriter, r *http.Request, in func(string) string) error {
			return p.Sessions(w, r, pages.SessionsPage{Who: in("alice@example.com"), FormToken: in("form-token"), Sessions: []pages.SessionView{
				{ID: in("0123456789abcdef"), Current: true, System: in("Windows"), Began: at, Used: at},
			}})
		}},
		{name: "too_many_sessions", target: "/.auth/callback/corp", draw: func(p *pages.Renderer, w http.ResponseWriter, r *http.Request, in func(string) string) error {
			return p.TooManySessions(w, r, pages.TooManyPage{Who: in("alice@example.com"), Proof: in("proof"), ReturnTo: in("/reports?year=2026")})
		}},
		{name: "signed_out_here", target: "/.auth/logout/done", draw: func(p *pages.Renderer, w http.ResponseWriter, r *http.Request, in func(string) string) error {
			return p.SignedOutHere(w, r, pages.SignedOutPage{Still: in("Corporate sign-in"), Continue: in("/bye")})
		}},
	}
}
