package login

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"
)

const (
	maxUsername = 256  // bytes
	maxPassword = 1024 // bytes
	maxBcrypt   = 72   // bytes of a password that bcrypt looks at
)

// The cost of new hashes: what OWASP recommends for argon2id.
const (
	argonMemory  = 19 << 10 // KiB
	argonTime    = 2
	argonThreads = 1
	argonSalt    = 16
	argonKey     = 32
)

// HashPassword returns the argon2id hash (RFC 9106) of a password in PHC string
// format, for the file of a users provider.
func HashPassword(password string) (string, error) {
	switch {
	case password == "":
		return "", errors.New("the password is empty")
	case len(password) > maxPassword:
		return "", fmt.Errorf("the password is longer than %d bytes", maxPassword)
	}
	salt := make([]byte, argonSalt)
	rand.Read(salt) // never fails: crypto/rand ends the process rather than return weak bytes
	key := argon2.IDKey([]byte(password), salt, argonTime, argonMemory, argonThreads, argonKey)
	enc := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, argonMemory, argonTime, argonThreads,
		enc.EncodeToString(salt), enc.EncodeToString(key)), nil
}

// passwordHash is a parsed hash.
type passwordHash interface {
	// matches is slow on purpose, and takes the same time whatever it answers.
	matches(password string) bool
}

// parseHash reads argon2id in PHC string format, and bcrypt. The costs are
// bounded, so that one line of a file cannot eat the machine.
func parseHash(text string) (passwordHash, error) {
	switch {
	case strings.HasPrefix(text, "$argon2id$"):
		return parseArgon(text)
	case strings.HasPrefix(text, "$2a$"), strings.HasPrefix(text, "$2b$"), strings.HasPrefix(text, "$2y$"):
		return parseBcrypt(text)
	}
	return nil, errors.New("is neither an argon2id ($argon2id$...) nor a bcrypt ($2b$...) hash: make one with `sallyport users hash`")
}

type argonHash struct {
	memory, time uint32
	threads      uint8
	salt, key    []byte
}

func (h argonHash) matches(password string) bool {
	key := argon2.IDKey([]byte(password), h.salt, h.time, h.memory, h.threads, uint32(len(h.key)))
	return subtle.ConstantTimeCompare(key, h.key) == 1
}

func parseArgon(text string) (passwordHash, error) {
	parts := strings.Split(text, "$")
	if len(parts) != 6 || parts[2] != "v="+strconv.Itoa(argon2.Version) {
		return nil, errors.New("is not of the form $argon2id$v=19$m=19456,t=2,p=1$salt$hash")
	}
	costs := strings.Split(parts[3], ",")
	if len(costs) != 3 {
		return nil, errors.New("does not give m, t and p")
	}
	memory, err := cost(costs[0], "m=", 8, 256<<10)
	if err != nil {
		return nil, err
	}
	passes, err := cost(costs[1], "t=", 1, 16)
	if err != nil {
		return nil, err
	}
	threads, err := cost(costs[2], "p=", 1, 16)
	if err != nil {
		return nil, err
	}
	if memory < 8*threads {
		return nil, errors.New("m is less than eight times p")
	}
	h := argonHash{memory: memory, time: passes, threads: uint8(threads)}
	enc := base64.RawStdEncoding.Strict()
	if h.salt, err = enc.DecodeString(parts[4]); err != nil || len(h.salt) < 8 || len(h.salt) > 64 {
		return nil, errors.New("has no salt of 8 to 64 bytes")
	}
	if h.key, err = enc.DecodeString(parts[5]); err != nil || len(h.key) < 16 || len(h.key) > 64 {
		return nil, errors.New("has no hash of 16 to 64 bytes")
	}
	return h, nil
}

func cost(text, prefix string, least, most uint64) (uint32, error) {
	digits, ok := strings.CutPrefix(text, prefix)
	n, err := strconv.ParseUint(digits, 10, 32)
	if !ok || err != nil || n < least || n > most {
		return 0, fmt.Errorf("%s is not a number from %d to %d", strings.TrimSuffix(prefix, "="), least, most)
	}
	return uint32(n), nil
}

type bcryptHash []byte

func (h bcryptHash) matches(password string) bool {
	// bcrypt ignores what comes after 72 bytes, so a longer password would
	// match another one. The hash is computed all the same, for the time.
	n := min(len(password), maxBcrypt)
	err := bcrypt.CompareHashAndPassword(h, []byte(password[:n]))
	return err == nil && n == len(password)
}

func parseBcrypt(text string) (passwordHash, error) {
	n, err := bcrypt.Cost([]byte(text))
	switch {
	case err != nil || len(text) != 60:
		return nil, errors.New("is not a bcrypt hash of 60 characters")
	case n > 16:
		return nil, errors.New("has a bcrypt cost above 16")
	}
	return bcryptHash(text), nil
}

// hashWait is how long a sign-in waits for its turn.
const hashWait = 2 * time.Second

// hashSlots bound how many hashes are computed at once, to as many as there are
// processors: more would be no faster and cost memory.
type hashSlots chan struct{}

func newHashSlots() hashSlots { return make(hashSlots, runtime.GOMAXPROCS(0)) }

// check computes whether the password matches, when there is a free slot.
// errBusy when there is none for too long.
func (s hashSlots) check(ctx context.Context, h passwordHash, password string) (bool, error) {
	if err := s.take(ctx); err != nil {
		return false, err
	}
	defer s.release()
	return h.matches(password), nil
}

// take waits for a slot, which must be released.
func (s hashSlots) take(ctx context.Context) error {
	timer := time.NewTimer(hashWait)
	defer timer.Stop()
	select {
	case s <- struct{}{}:
		return nil
	case <-timer.C:
		return errBusy
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s hashSlots) release() { <-s }
