package config

import (
	"fmt"
	"regexp"
	"strings"
)

// Lint says which findings of `sallyport check` are meant to be so.
type Lint struct {
	Ignore []LintIgnore `mapstructure:"ignore"`
}

// LintIgnore silences the findings of one code, at one place or everywhere.
type LintIgnore struct {
	Code   string `mapstructure:"code"`   // such as SP010, or a code of the policy lint
	Path   string `mapstructure:"path"`   // the setting, or one that it is a part of; empty = anywhere
	Reason string `mapstructure:"reason"` // why it is meant so; it stands in every report
}

// Covers tells whether a finding is one that is meant.
func (i *LintIgnore) Covers(code, path string) bool {
	if i.Code != code {
		return false
	}
	for p := range upwards(path) {
		if p == i.Path {
			return true
		}
	}
	return false
}

var lintCode = regexp.MustCompile(`^(SP[0-9]{3}|[a-z]+(_[a-z]+)*)$`)

// lint checks the form of the entries. Whether there is such a code, and such a
// finding, the check itself tells: no gateway stays down for it.
func (k *checker) lint() {
	for i, entry := range k.Lint.Ignore {
		at := item("lint.ignore", i)
		switch {
		case entry.Code == "":
			k.missing(at+".code", "is missing", "write the code that `sallyport check` shows, such as SP010")
		case !lintCode.MatchString(entry.Code):
			k.fault(at+".code", fmt.Sprintf("%q is not a code", shorten(entry.Code)), "write it as `sallyport check` shows it, such as SP010")
		}
		if entry.Path != "" && !isOneWord(entry.Path) {
			k.fault(at+".path", fmt.Sprintf("%q is not a setting", shorten(entry.Path)), "write it as `sallyport check` shows it, such as routes[2].upstream")
		}
		if strings.TrimSpace(entry.Reason) == "" {
			k.missing(at+".reason", "is missing", "write why it is meant so: it stands in every report")
		} else if !isPlainText(entry.Reason) {
			k.fault(at+".reason", "holds control characters", "write one line of text")
		}
	}
}
