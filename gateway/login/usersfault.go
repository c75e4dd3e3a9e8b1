package login

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

const accountKeys = "username, password_hash, email, name, groups"

var (
	unknownKey = regexp.MustCompile(`^line (\d+): field (\S+) not found in type (.*)`)
	wrongKind  = regexp.MustCompile(`^line (\d+): cannot unmarshal !!(\w+).* into (.*)`)
)

// fileFault says what a file of accounts has in place of what belongs there. The
// parser's own words name Go types, and quote values, which may be secrets.
func fileFault(err error) error {
	typed, ok := errors.AsType[*yaml.TypeError](err)
	if !ok {
		text := strings.TrimPrefix(err.Error(), "yaml: ")
		if strings.Contains(text, "anchor") || strings.Contains(text, "alphabetic or numeric character") {
			return errors.New("is not YAML: a value begins with * or &: put it in quotes")
		}
		return fmt.Errorf("is not YAML: %s: check the indentation and the quotes around this line", text)
	}
	faults := make([]error, len(typed.Errors))
	for i, text := range typed.Errors {
		faults[i] = errors.New(explained(text))
	}
	return errors.Join(faults...)
}

func explained(text string) string {
	if m := unknownKey.FindStringSubmatch(text); m != nil {
		fix := "write " + accountKeys
		switch {
		case m[2] == "password":
			fix = "write password_hash, as `sallyport users hash` prints it"
		case strings.HasSuffix(m[3], "usersFile"):
			fix = "write users: and a list"
		}
		return fmt.Sprintf("line %s: %.40q is not a known key: %s", m[1], m[2], fix)
	}
	if m := wrongKind.FindStringSubmatch(text); m != nil {
		wanted := "text"
		switch {
		case m[3] == "[]string":
			wanted = "a list, such as [staff]"
		case strings.HasSuffix(m[3], "usersFile"):
			wanted = "users: and a list below it"
		case strings.HasPrefix(m[3], "[]"):
			wanted = `a list, with "- " before each user`
		case strings.HasPrefix(m[3], "struct"):
			wanted = "{username: ..., password_hash: ..., groups: [...]}"
		}
		return fmt.Sprintf("line %s: here belongs %s", m[1], wanted)
	}
	return text
}
