package admin

import (
	"errors"
	"net/http"
	"time"

	"github.com/sallyport/sallyport/gateway/config"
)

// The results of a reload.
const (
	ReloadTaken   = "taken"
	ReloadRefused = "refused"
)

// ReloadStatus is the configuration in use.
type ReloadStatus struct {
	Generation int           `json:"generation"` // 1 is that of the start
	Since      time.Time     `json:"since"`
	File       string        `json:"file,omitempty"`
	Last       *ReloadResult `json:"last,omitempty"` // nil before the first reload
}

// Refused reports whether the last reload changed nothing.
func (s *ReloadStatus) Refused() bool { return s.Last != nil && s.Last.Result == ReloadRefused }

// ReloadResult is how a reload went.
type ReloadResult struct {
	At      time.Time     `json:"at"`
	Trigger string        `json:"trigger"` // file, signal, api
	Result  string        `json:"result"`  // taken, refused
	Faults  []ReloadFault `json:"faults,omitempty"`
	Error   string        `json:"error,omitempty"` // where it is no fault of the configuration
}

// ReloadFault is one thing that is wrong in the configuration.
type ReloadFault struct {
	File    string `json:"file,omitempty"`
	Line    int    `json:"line,omitempty"`
	Path    string `json:"path,omitempty"`
	Problem string `json:"problem"`
	Fix     string `json:"fix,omitempty"`
}

// Refuse puts the reason in why a configuration was not taken. Nil changes nothing.
func (r *ReloadResult) Refuse(err error) {
	if err == nil {
		return
	}
	r.Result = ReloadRefused
	faults, ok := errors.AsType[config.Faults](err)
	if !ok {
		r.Error = err.Error() // operators alone read it
		return
	}
	for _, f := range faults {
		r.Faults = append(r.Faults, ReloadFault(f))
	}
}

// ReloadEndpoints show the configuration in use and exchange it. reload returns an
// error where no reload was tried.
func ReloadEndpoints(status func() ReloadStatus, reload func(*http.Request) error) []Endpoint {
	return []Endpoint{
		{
			Method: http.MethodGet, Path: "/reload", Summary: "Shows since when the configuration is in use, and how the last reload went.",
			Gives: ReloadStatus{},
			Serve: func(w http.ResponseWriter, _ *http.Request) error { return writeJSON(w, http.StatusOK, status()) },
		},
		{
			Method: http.MethodPost, Path: "/reload", Summary: "Reads the configuration file again, and tells in last.result whether it was taken.",
			Gives: ReloadStatus{},
			Serve: func(w http.ResponseWriter, r *http.Request) error {
				if err := reload(r); err != nil {
					return err
				}
				return writeJSON(w, http.StatusOK, status())
			},
		},
	}
}

// ReloadForms are the overview's: reload is that of ReloadEndpoints. How it went stands
// on the page.
func ReloadForms(reload func(*http.Request) error) []Form {
	return []Form{{Path: "/reload", Do: func(r *http.Request) (string, *View, error) {
		if err := reload(r); err != nil {
			return "", nil, err
		}
		return "/#configuration", nil, nil
	}}}
}
