package admin

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/sallyport/sallyport/gateway/httperr"
	"github.com/sallyport/sallyport/gateway/session"
)

const (
	// signInIdle is how long a sign-in lasts without a page, signInLife how long in all.
	signInIdle = 30 * time.Minute
	signInLife = 12 * time.Hour

	nonceSize  = 16
	signInSize = 1 + nonceSize + 8 + 8 + sha256.Size
	maxEnded   = 4096
)

func cookieName(r *http.Request) string {
	if r.TLS != nil {
		return "__Host-" + session.AdminCookie
	}
	return session.AdminCookie
}

// signIn is what the cookie of a person says who gave the token once. It ends with
// the token.
type signIn struct {
	nonce        [nonceSize]byte
	since, until time.Time
	keyID        byte // that its cookie is signed with
}

func (s *signIn) message(token [sha256.Size]byte) []byte {
	m := append([]byte("admin sign-in\x00"), s.nonce[:]...)
	m = binary.BigEndian.AppendUint64(m, uint64(s.since.Unix()))
	m = binary.BigEndian.AppendUint64(m, uint64(s.until.Unix()))
	return append(m, token[:]...)
}

// give sets the cookie.
func (g *gate) give(w http.ResponseWriter, r *http.Request, s *signIn, token [sha256.Size]byte) {
	keyID, mac := g.Signer.Sign(s.message(token))
	value := append([]byte{keyID}, s.nonce[:]...)
	value = binary.BigEndian.AppendUint64(value, uint64(s.since.Unix()))
	value = binary.BigEndian.AppendUint64(value, uint64(s.until.Unix()))
	setCookie(w, r, base64.RawURLEncoding.EncodeToString(append(value, mac[:]...)), int(time.Until(s.until).Seconds()))
}

func setCookie(w http.ResponseWriter, r *http.Request, value string, maxAge int) {
	http.SetCookie(w, &http.Cookie{
		Name: cookieName(r), Value: value, Path: "/", MaxAge: maxAge,
		Secure: r.TLS != nil, HttpOnly: true, SameSite: http.SameSiteStrictMode,
	})
}

// signedIn returns the sign-in of a request, or nil.
func (g *gate) signedIn(r *http.Request) (*signIn, [sha256.Size]byte) {
	none := [sha256.Size]byte{}
	cookies := r.CookiesNamed(cookieName(r))
	if len(cookies) != 1 {
		return nil, none
	}
	value, err := base64.RawURLEncoding.Strict().DecodeString(cookies[0].Value)
	if err != nil || len(value) != signInSize {
		return nil, none
	}
	s := &signIn{nonce: [nonceSize]byte(value[1:]), keyID: value[0]}
	times := value[1+nonceSize:]
	s.since = time.Unix(int64(binary.BigEndian.Uint64(times)), 0)
	s.until = time.Unix(int64(binary.BigEndian.Uint64(times[8:])), 0)
	token, err := g.want()
	if err != nil || !g.Signer.Check(value[0], s.message(token), times[16:]) || !time.Now().Before(s.until) || g.Visitors.ended.has(s.nonce) {
		return nil, none
	}
	return s, token
}

// page lets in who has signed in, or proves himself in another way. It sends
// people to the form, and asks programs.
func (g *gate) page(f httperr.HandlerFunc) httperr.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		if err := g.reachable(r); err != nil {
			return err
		}
		who, err := g.person(w, r)
		if err != nil {
			return err
		}
		if who == nil {
			if _, err := g.want(); err != nil {
				return err
			}
			if httperr.IsNavigation(r) {
				http.Redirect(w, r, "/login?next="+url.QueryEscape(r.URL.RequestURI()), http.StatusSeeOther)
				return nil
			}
			return g.unproven("Basic", "Sign in at /login; programs send the token of admin.token_file as the password, with any user name.")
		}
		r = withOperator(r, who)
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			if err := g.meant(w, r); err != nil {
				return err
			}
		}
		return f(w, r)
	}
}

// reachable is what a request must be before anything of the pages answers it.
func (g *gate) reachable(r *http.Request) error {
	if err := g.host(r); err != nil {
		return err
	}
	if from, err := netip.ParseAddr(clientOf(r)); r.TLS == nil && err == nil && !from.Unmap().IsLoopback() {
		return &httperr.Error{
			Code: http.StatusForbidden, Reason: "admin_needs_tls",
			Public: "These pages are not shown over plain http to other machines, where anybody on the way could read the token: configure admin.tls, or come over loopback (ssh -L, kubectl port-forward).",
		}
	}
	return nil
}

// person judges everything by which a browser can prove its person.
func (g *gate) person(w http.ResponseWriter, r *http.Request) (*operator, error) {
	if _, password, ok := r.BasicAuth(); ok {
		return g.byToken(r, password, "Basic")
	}
	s, token := g.signedIn(r)
	if s == nil {
		return g.proven(r, "Basic")
	}
	// A page that refreshes itself is nobody's doing and makes nothing last longer. A
	// cookie of a former key is signed anew, lest who retires that key signs himself out.
	now := time.Now()
	keyID, _ := g.Signer.Sign(nil)
	renew := keyID != s.keyID
	if end := s.since.Add(signInLife); httperr.IsNavigation(r) && s.until.Before(end) && s.until.Sub(now) < signInIdle-time.Minute {
		s.until = now.Add(signInIdle)
		if s.until.After(end) {
			s.until = end
		}
		renew = true
	}
	if renew {
		g.give(w, r, s, token)
	}
	return &operator{name: nameToken, bound: s.nonce[:], ambient: true}, nil
}

// form is the page of the form, and the answer to a wrong token.
func (g *gate) form(show func(w http.ResponseWriter, r *http.Request, v loginView) error) httperr.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		if err := g.reachable(r); err != nil {
			return err
		}
		if _, err := g.want(); err != nil {
			return err
		}
		return show(w, r, loginView{Next: localPath(r.FormValue("next"))})
	}
}

// enter takes the form.
func (g *gate) enter(show func(w http.ResponseWriter, r *http.Request, v loginView) error) httperr.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		if err := g.reachable(r); err != nil {
			return err
		}
		if g.origin.Check(r) != nil {
			return errElsewhere()
		}
		if err := readForm(w, r); err != nil {
			return err
		}
		next := localPath(r.PostForm.Get("next"))
		_, err := g.byToken(r, strings.TrimSpace(r.PostForm.Get("token")), "Bearer")
		if e, ok := errors.AsType[*httperr.Error](err); ok && (e.Code == http.StatusUnauthorized || e.Code == http.StatusTooManyRequests) && e.Reason != "no_client_certificate" {
			return show(w, r, loginView{Next: next, Problem: strings.TrimSuffix(e.Public, " Send the token of admin.token_file."), status: e.Code, retry: e.Header.Get("Retry-After")})
		}
		if err != nil {
			return err
		}
		token, err := g.want()
		if err != nil {
			return err
		}
		now := time.Now()
		s := &signIn{since: now, until: now.Add(signInIdle)}
		if _, err := rand.Read(s.nonce[:]); err != nil {
			return err
		}
		g.Trail.Record(ActOf(withOperator(r, &operator{name: nameToken}), "admin_signin", nil))
		g.give(w, r, s, token)
		http.Redirect(w, r, next, http.StatusSeeOther) //nolint:gosec // localPath has made it one of ours
		return nil
	}
}

// leave ends the sign-in. It comes by way of page, which has looked at the form.
func (g *gate) leave(w http.ResponseWriter, r *http.Request) error {
	if s, _ := g.signedIn(r); s != nil {
		g.Visitors.ended.add(s)
		g.Trail.Record(ActOf(r, "admin_signout", nil))
	}
	setCookie(w, r, "", -1)
	http.Redirect(w, r, "/login", http.StatusSeeOther)
	return nil
}

// localPath is where to go afterwards: a path of this listener, whatever else was
// asked for.
func localPath(next string) string {
	u, err := url.Parse(next)
	if err != nil || u.IsAbs() || u.Host != "" || !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") ||
		strings.ContainsFunc(next, func(c rune) bool { return c == '\\' || c <= ' ' || c == 0x7f }) || u.Path == "/login" {
		return "/"
	}
	return next
}

// endedSignIns are those that somebody has ended before their time. A restart
// forgets them.
type endedSignIns struct {
	mu    sync.Mutex
	until map[[nonceSize]byte]time.Time
}

func (e *endedSignIns) has(nonce [nonceSize]byte) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return !e.until[nonce].IsZero()
}

func (e *endedSignIns) add(s *signIn) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.until == nil {
		e.until = map[[nonceSize]byte]time.Time{}
	}
	if len(e.until) >= maxEnded {
		now := time.Now()
		for nonce, until := range e.until {
			if now.After(until) {
				delete(e.until, nonce)
			}
		}
	}
	// Only operators add to it, so that it may grow.
	e.until[s.nonce] = s.since.Add(signInLife)
}
