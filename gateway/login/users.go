package login

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"
	"unicode/utf8"

	"go.uber.org/zap"
	"go.yaml.in/yaml/v3"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/identity"
	"github.com/sallyport/sallyport/gateway/pages"
)

const (
	// maxUsersFile bounds the file of accounts in bytes.
	maxUsersFile = 16 << 20
	// usersCheckEvery is how often a sign-in looks whether the file changed.
	usersCheckEvery = time.Second
)

// users judges passwords against a file of accounts. The file is read again
// when it changes; one that is faulty then changes nothing.
type users struct {
	cfg     config.Provider
	log     *zap.Logger
	hashing hashSlots
	seed    maphash.Seed

	generation atomic.Uint64 // how often the file was read again

	mu       sync.Mutex
	accounts *accounts
	file     os.FileInfo // of the file as it was read
	checked  time.Time
}

var _ passwords = (*users)(nil)

// accounts are all users of a file, in its order. They are not changed once made.
type accounts struct {
	list   []account
	byName map[string]int
}

type account struct {
	username, email, fullName string
	groups                    []string
	hash                      passwordHash
}

// usersFile is the format of the file.
type usersFile struct {
	Users []struct {
		Username     string   `yaml:"username"`
		PasswordHash string   `yaml:"password_hash"`
		Email        string   `yaml:"email"`
		Name         string   `yaml:"name"`
		Groups       []string `yaml:"groups"`
	} `yaml:"users"`
}

func newUsers(cfg config.Provider, log *zap.Logger, hashing hashSlots) (*users, error) {
	u := &users{cfg: cfg, log: log, hashing: hashing, seed: maphash.MakeSeed()}
	info, err := os.Stat(cfg.File)
	if err != nil {
		return nil, err
	}
	if u.accounts, err = readAccounts(cfg.File); err != nil {
		return nil, err
	}
	u.file, u.checked = info, time.Now()
	return u, nil
}

func (u *users) name() string        { return u.cfg.Name }
func (u *users) run(context.Context) {}
func (u *users) ready() error        { return nil }

func (u *users) choice() pages.ProviderChoice {
	return pages.ProviderChoice{Name: u.cfg.Name, Title: u.cfg.Title, Kind: pages.KindPassword}
}

func (u *users) verify(ctx context.Context, username, password string) (*identity.Identity, error) {
	if username == "" || password == "" || len(username) > maxUsername || len(password) > maxPassword {
		return nil, ErrWrongPassword
	}
	all := u.current()
	at, known := all.byName[username]
	if !known {
		// An unknown name costs what some known one costs, and always the
		// same one: neither the time nor its spread tells which names exist.
		at = int(maphash.String(u.seed, username) % uint64(len(all.list)))
	}
	a := all.list[at]
	ok, err := u.hashing.check(ctx, a.hash, password)
	switch {
	case err != nil:
		return nil, err
	case !ok || !known:
		return nil, ErrWrongPassword
	}
	return localIdentity(u.cfg.Name, a.username, a.email, a.fullName, a.groups), nil
}

// localIdentity is somebody whom the gateway itself vouches for. His address
// counts as verified: whoever wrote the file did so.
func localIdentity(provider, subject, email, name string, groups []string) *identity.Identity {
	return &identity.Identity{
		Issuer: localIssuer(provider), Subject: subject, PreferredUsername: subject,
		Email: email, EmailVerified: email != "", Name: name, Groups: groups,
		Method: provider, AuthTime: time.Now(), AMR: []string{"pwd"},
	}
}

// current returns the accounts, read again if the file has changed.
func (u *users) current() *accounts {
	u.mu.Lock()
	defer u.mu.Unlock()
	now := time.Now()
	if now.Sub(u.checked) < usersCheckEvery {
		return u.accounts
	}
	u.checked = now
	info, err := os.Stat(u.cfg.File) //nolint:gosec // the operator names the file
	if err == nil && os.SameFile(info, u.file) && info.Size() == u.file.Size() && info.ModTime().Equal(u.file.ModTime()) {
		return u.accounts
	}
	if err == nil {
		u.file = info // a faulty file is reported once, not at every sign-in
		var fresh *accounts
		if fresh, err = readAccounts(u.cfg.File); err == nil {
			u.accounts = fresh
			u.generation.Add(1)
			u.log.Info("the accounts were read again", zap.Int("users", len(fresh.list)))
			return fresh
		}
	}
	u.log.Error("the accounts could not be read again; those read before stay in use", zap.Error(err))
	return u.accounts
}

func readAccounts(name string) (*accounts, error) {
	f, err := os.Open(name) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, maxUsersFile+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if len(data) > maxUsersFile {
		return nil, fmt.Errorf("%s: larger than %d MiB", name, maxUsersFile>>20)
	}
	all, err := parseAccounts(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return all, nil
}

// parseAccounts reports every faulty entry at once. No message holds a hash.
func parseAccounts(data []byte) (*accounts, error) {
	var file usersFile
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	if err := dec.Decode(&file); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, errors.New("is empty: write users: and a list")
		}
		return nil, fileFault(err)
	}
	if len(file.Users) == 0 {
		return nil, errors.New("lists no users: nobody could sign in")
	}
	all := &accounts{byName: make(map[string]int, len(file.Users))}
	var faults []error
	for i, entry := range file.Users {
		at := fmt.Sprintf("users[%d]", i)
		if entry.Username != "" {
			at += fmt.Sprintf(" (%.40q)", entry.Username)
		}
		if problem := nameProblem(entry.Username); problem != "" {
			faults = append(faults, fmt.Errorf("%s: username %s", at, problem))
		}
		if _, twice := all.byName[entry.Username]; twice {
			faults = append(faults, fmt.Errorf("%s: the username is taken by another entry", at))
		}
		all.byName[entry.Username] = i
		hash, err := parseHash(entry.PasswordHash)
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: password_hash %w", at, err))
		}
		all.list = append(all.list, account{
			username: entry.Username, email: entry.Email, fullName: entry.Name, groups: entry.Groups, hash: hash,
		})
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	return all, nil
}

func nameProblem(name string) string {
	switch {
	case name == "":
		return "is missing"
	case len(name) > maxUsername:
		return fmt.Sprintf("is longer than %d bytes", maxUsername)
	case !utf8.ValidString(name), strings.ContainsFunc(name, unicode.IsControl):
		return "holds characters that are no text"
	case strings.TrimSpace(name) != name:
		return "begins or ends with space"
	}
	return ""
}
