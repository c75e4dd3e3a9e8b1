package oidctest

import (
	"crypto/rand"
	"net/http"
	"net/url"
)

// servePush keeps a request for authorization of a client that has proven
// itself, for one use (RFC 9126, section 2).
func (p *Provider) servePush(w http.ResponseWriter, r *http.Request, script Script) {
	if err := r.ParseForm(); err != nil {
		http.Error(w, "not a form", http.StatusBadRequest)
		return
	}
	if script.PushStatus != 0 {
		writeJSON(w, script.PushStatus, map[string]any{"error": script.TokenError, "error_description": r.PostForm.Encode()})
		return
	}
	if !authenticated(r, script) || r.PostForm.Has("request_uri") {
		writeJSON(w, http.StatusUnauthorized, map[string]any{"error": "invalid_client"})
		return
	}
	name := "urn:ietf:params:oauth:request_uri:" + rand.Text()
	p.mu.Lock()
	p.pushes[name] = r.PostForm
	p.mu.Unlock()
	answer := map[string]any{"request_uri": name, "expires_in": 60}
	if script.PushAnswer != nil {
		script.PushAnswer(answer)
	}
	writeJSON(w, http.StatusCreated, answer)
}

// request returns the request that the browser carries, or the pushed one that it
// names. Where they are pushed, it may carry nothing else.
func (p *Provider) request(r *http.Request, script Script) (url.Values, bool) {
	q := r.URL.Query()
	if !script.Push {
		return q, true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	pushed, ok := p.pushes[q.Get("request_uri")]
	delete(p.pushes, q.Get("request_uri"))
	return pushed, ok && len(q) == 2 && q.Get("client_id") == pushed.Get("client_id")
}
