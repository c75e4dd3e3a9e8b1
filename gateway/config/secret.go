package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// ErrNoSecret says that neither a secret nor a file for it is configured: a
// public client has none.
var ErrNoSecret = errors.New("no secret is configured")

// maxSecret is the largest secret file, in bytes.
const maxSecret = 64 << 10

// ReadSecret returns inline, or what file holds at this moment without one
// trailing newline. Call it again when the file changes. It answers an error,
// and never an empty secret, for a file that is missing, unreadable, empty,
// blank or larger than 64 KiB, and for two secrets; ErrNoSecret for none. The
// error names the file and never shows its content.
func ReadSecret(inline Secret, file string) (Secret, error) {
	switch {
	case inline != "" && file != "":
		return "", errors.New("a secret and a file for it are both configured")
	case inline != "":
		return inline, nil
	case file == "":
		return "", ErrNoSecret
	}
	data, problem := readFile(file, maxSecret)
	if problem != "" {
		return "", fmt.Errorf("secret file %s: %s", file, problem)
	}
	text := strings.TrimSuffix(string(data), "\n")
	text = strings.TrimSuffix(text, "\r")
	if strings.TrimSpace(text) == "" {
		return "", fmt.Errorf("secret file %s: is empty", file)
	}
	return Secret(text), nil
}

// readFile reads a regular file of at most limit bytes. Otherwise it words what
// is wrong. Pipes and devices are refused: a secret is read more than once.
func readFile(name string, limit int64) (data []byte, problem string) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, fileProblem(err)
	}
	if !info.Mode().IsRegular() {
		return nil, "is not a file"
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, fileProblem(err)
	}
	defer func() { _ = f.Close() }()
	data, err = io.ReadAll(io.LimitReader(f, limit+1))
	switch {
	case err != nil:
		return nil, fileProblem(err)
	case len(data) == 0:
		return nil, "is empty"
	case int64(len(data)) > limit:
		return nil, fmt.Sprintf("is larger than %d KiB", limit>>10)
	}
	return data, ""
}

// maxReferenced is the largest other file that the configuration may name.
const maxReferenced = 16 << 20

// file checks that the file at path, if one is named, has something to read.
func (k *checker) file(path, name string) {
	if name == "" {
		return
	}
	if _, problem := readFile(k.FileName(name), maxReferenced); problem != "" {
		k.fault(path, fmt.Sprintf("the file %q %s", shorten(name), problem), "name a file that exists and is readable")
	}
}

// secret checks a secret and its *_file twin; both may be absent. It returns
// the secret, or "" where it has reported a fault or there is none.
func (k *checker) secret(parent, key string, inline Secret, file string) Secret {
	at, atFile := join(parent, key), join(parent, key+"_file")
	if k.given(at) && inline == "" {
		k.fault(at, "is empty", "remove it, or write "+key+"_file: FILE")
		return ""
	}
	if inline != "" && file != "" {
		k.fault(atFile, "is given beside "+key, "keep one of them; the file is the safer one")
		return ""
	}
	lies := k.FileName(file)
	value, err := ReadSecret(inline, lies)
	if err != nil && !errors.Is(err, ErrNoSecret) {
		problem := strings.TrimPrefix(err.Error(), "secret file "+lies+": ")
		k.fault(atFile, fmt.Sprintf("the file %q %s", shorten(file), problem), "name a file that holds the secret and nothing else")
		return ""
	}
	return value
}
