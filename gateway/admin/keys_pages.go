package admin

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/gateway/httperr"
)

// reasonKeyNeeded is that of a key that can be retired by force alone.
const reasonKeyNeeded = "key_needed"

// The rings, as endpoints and pages name them.
const (
	ringSigning = "signing"
	ringSealing = "sealing"
)

// KeyPages show both rings, never a key, and rotate and retire.
func KeyPages(o KeysOptions, jobs *Jobs) ([]Page, []Form) {
	p := &keyPages{o, jobs}
	pages := []Page{
		{Path: "/keys", Name: "Keys", Show: func(r *http.Request) (*View, error) {
			return &View{Title: "Keys", File: "keys", Data: o.List(r)}, nil
		}},
		{Path: "/keys/rotate", Show: p.confirm("rotate", "Rotate keys")},
		{Path: "/keys/retire", Show: p.confirm("retire", "Retire a key")},
		jobs.page("/keys"),
	}
	return pages, []Form{{Path: "/keys/rotate", Do: p.rotate}, {Path: "/keys/retire", Do: p.retire}}
}

type keyPages struct {
	o    KeysOptions
	jobs *Jobs
}

// keyAct is what a page asks about before it is done.
type keyAct struct {
	Act, Ring, Key string
	Files          []string // of the sealing keys, where these are files
}

func (p *keyPages) confirm(act, title string) func(*http.Request) (*View, error) {
	return func(r *http.Request) (*View, error) {
		a := &keyAct{Act: act, Ring: r.URL.Query().Get("ring"), Key: r.URL.Query().Get("key")}
		if err := a.judge(p.o.List(r)); err != nil {
			return nil, err
		}
		return &View{Title: title, File: "keys_act", Data: a}, nil
	}
}

// judge says whether there is such a ring, and such a key.
func (a *keyAct) judge(all AllKeys) error {
	var names []string
	switch a.Ring {
	case ringSigning:
		for _, k := range all.Keys {
			names = append(names, k.ID)
		}
	case ringSealing:
		for _, k := range all.Sealing.Keys {
			names = append(names, k.ID)
		}
		a.Files = all.Sealing.Files
	default:
		return badRequest("Say which ring: signing or sealing.")
	}
	if a.Act == "retire" && !slices.Contains(names, a.Key) {
		return &httperr.Error{Code: http.StatusNotFound, Reason: "no_such_key", Public: "There is no such key any more."}
	}
	return nil
}

func (p *keyPages) rotate(r *http.Request) (string, *View, error) {
	ring, now := r.PostForm.Get("ring"), r.PostForm.Get("now") == "yes"
	do := func(r *http.Request) error { return p.o.RotateSigning(r, now) }
	switch ring {
	case ringSigning:
	case ringSealing:
		do = p.o.RotateSealing
	default:
		return "", nil, badRequest("Say which ring: signing or sealing.")
	}
	return p.jobs.start(r.Context(), task{title: "Rotate keys", what: "The " + ring + " keys", home: "/keys", work: func(ctx context.Context) ([]string, error) {
		r := r.WithContext(ctx)
		if err := do(r); err != nil {
			return nil, err
		}
		all := p.o.List(r)
		if ring == ringSigning {
			return toldOfSigning(&all), nil
		}
		return toldOfSealing(&all), nil
	}}), nil, nil
}

func toldOfSigning(all *AllKeys) []string {
	if all.SwitchesAt != nil {
		return []string{"The next key begins to sign at " + when(*all.SwitchesAt) + ", when every verifier can know it."}
	}
	for _, k := range all.Keys {
		if k.State == "current" {
			return []string{"The key " + k.ID + " signs now."}
		}
	}
	return []string{"It is done."}
}

func toldOfSealing(all *AllKeys) []string {
	for _, k := range all.Sealing.Keys {
		if k.State == "next" {
			return []string{"The key " + k.ID + " is new. It seals as soon as every gateway knows it."}
		}
	}
	for _, k := range all.Sealing.Keys {
		if k.State == "current" {
			return []string{"The key " + k.ID + " seals now."}
		}
	}
	return []string{"It is done."}
}

func (p *keyPages) retire(r *http.Request) (string, *View, error) {
	a := &keyAct{Act: "retire", Ring: r.PostForm.Get("ring"), Key: r.PostForm.Get("key")}
	if err := a.judge(p.o.List(r)); err != nil {
		return "", nil, err
	}
	wish := RetireKey{Key: a.Key, Force: r.PostForm.Get("force") == "yes"}
	do, force := p.o.RetireSigning, "Retire it all the same"
	if a.Ring == ringSealing {
		do, force = p.o.RetireSealing, "Retire it and sign them out"
	}
	return p.jobs.start(r.Context(), task{
		title: "Retire a key", what: "The " + a.Ring + " key " + a.Key, home: "/keys",
		work: func(ctx context.Context) ([]string, error) {
			done, err := do(r.WithContext(ctx), wish)
			if err != nil {
				return nil, err
			}
			return toldOfRetired(a.Ring, &done), nil
		},
		otherwise: &jobAction{
			Reason: reasonKeyNeeded, Path: "/keys/retire", Name: force,
			Fields: [][2]string{{"ring", a.Ring}, {"key", a.Key}, {"force", "yes"}},
		},
	}), nil, nil
}

func toldOfRetired(ring string, done *RetiredKey) []string {
	told := []string{"The " + ring + " key " + done.Key + " is retired."}
	if done.SignedOut > 0 {
		var who []string
		for _, u := range done.Users {
			who = append(who, u.Subject)
		}
		told = append(told, fmt.Sprintf("Sessions that were ended: %d, of %s.", done.SignedOut, strings.Join(who, ", ")))
	}
	if done.Resealed > 0 {
		told = append(told, fmt.Sprintf("Provider tokens that are sealed with another key now: %d.", done.Resealed))
	}
	if done.RemoveFrom != "" {
		told = append(told, "Take it out of "+done.RemoveFrom+" now, on every gateway.")
	}
	return told
}
