// Package opatest is a service that answers as Open Policy Agent's data API is
// documented to, for tests: rules are functions, and a script stands in for all that
// can be wrong with a service.
package opatest

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
)

// ErrUndefined is a rule's answer where it has no value.
var ErrUndefined = errors.New("undefined")

// Rule computes a document from the input. ErrUndefined makes it undefined, any other
// error is one of the evaluation.
type Rule func(input map[string]any) (any, error)

// Question is a request as it came.
type Question struct {
	Path   string
	Header http.Header
	Body   string
}

// Server is the service. It is safe for concurrent use.
type Server struct {
	mu     sync.Mutex
	rules  map[string]Rule
	script http.HandlerFunc
	asked  []Question
}

// New makes a service without rules.
func New() *Server { return &Server{rules: map[string]Rule{}} }

// Rule sets the rule at a path below /v1/data/.
func (s *Server) Rule(path string, r Rule) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rules[path] = r
}

// Script answers instead of the rules; nil gives them their say again.
func (s *Server) Script(f http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.script = f
}

// Says is a script that answers every question with this body.
func (s *Server) Says(status int, body string) {
	s.Script(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	})
}

// Asked returns the questions so far.
func (s *Server) Asked() []Question {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Question(nil), s.asked...)
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	s.mu.Lock()
	s.asked = append(s.asked, Question{Path: r.URL.RequestURI(), Header: r.Header.Clone(), Body: string(body)})
	script := s.script
	path, data := strings.CutPrefix(r.URL.Path, "/v1/data/")
	rule := s.rules[path]
	s.mu.Unlock()
	if script != nil {
		script(w, r)
		return
	}
	var question struct {
		Input map[string]any `json:"input"`
	}
	switch {
	case !data:
		http.NotFound(w, r)
	case r.Method != http.MethodPost:
		w.WriteHeader(http.StatusMethodNotAllowed)
	case json.Unmarshal(body, &question) != nil:
		answer(w, http.StatusBadRequest, map[string]any{"code": "invalid_parameter", "message": "error(s) occurred while decoding the request"})
	case rule == nil: // a path without a document is undefined
		answer(w, http.StatusOK, map[string]any{})
	default:
		result, err := rule(question.Input)
		switch {
		case errors.Is(err, ErrUndefined):
			answer(w, http.StatusOK, map[string]any{"decision_id": "4c0f"})
		case err != nil:
			answer(w, http.StatusInternalServerError, map[string]any{"code": "internal_error", "message": "error(s) occurred while evaluating query", "errors": []any{
				map[string]any{"code": "eval_conflict_error", "message": err.Error()},
			}})
		default:
			answer(w, http.StatusOK, map[string]any{"decision_id": "4c0f", "result": result})
		}
	}
}

func answer(w http.ResponseWriter, status int, document map[string]any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(document)
}
