package config

import (
	"fmt"
	"strings"
)

// signOut checks where a sign-out may lead and how many sessions a user can have.
func (k *checker) signOut() {
	seen := map[string]int{}
	for i, target := range k.Login.LogoutTargets {
		k.logoutTarget(item("login.logout_targets", i), target, seen)
		if _, twice := seen[target]; !twice {
			seen[target] = i
		}
	}
	if k.Session.MaxPerUser < 0 {
		k.fault("session.max_per_user", fmt.Sprintf("%d is no number of sessions", k.Session.MaxPerUser), "write 0 for any number, or how many a user may have")
	}
	k.oneOf("session.when_full", k.Session.WhenFull, WhenFullOldestOut, WhenFullRefuse)
}

// logoutTarget takes whole URLs only: what a sign-out names is compared with them
// character by character, so that there is nothing to be read in two ways.
func (k *checker) logoutTarget(at, target string, seen map[string]int) {
	const fix = "write a whole URL, such as https://www.example.com/bye"
	u, problem := urlShape{schemes: []string{"https", "http"}, path: true, query: true}.parse(target)
	first, twice := seen[target]
	switch {
	case problem != "":
		k.fault(at, problem, fix)
	case strings.ContainsFunc(target, func(c rune) bool { return c <= ' ' || c >= 0x7f || c == '\\' }):
		k.fault(at, "holds characters that browsers change", "write it as a browser's address bar gives it when you copy it")
	case u.Scheme == "http" && !loopbackHost(u.Hostname()):
		k.fault(at, "is plain http, so that anybody on the way can answer in its place", "write https://")
	case twice:
		k.fault(at, fmt.Sprintf("is login.logout_targets[%d] already", first), "remove one of them")
	}
}
