package config

import (
	"fmt"
	"strings"
	"time"
)

// minCache is the least useful size of the near cache.
const minCache = 1 << 20

// valkey checks the keys of the shared store. They may stand in the file while
// another store is used, and are not looked at then.
func (k *checker) valkey() {
	const at = "session.valkey"
	v := k.Session.Valkey
	if len(k.Session.KeysFiles) == 0 {
		k.missing("session.keys_files", "is missing or empty, while every gateway that shares a store must seal with the same keys",
			"write keys_files: [FILE], the same file for all, made with `openssl rand -base64 32`")
	}
	k.valkeyURLs(at)
	k.valkeyTLS(at+".tls", v.TLS)
	k.valkeyUser(at, "", v.Username, v.Password, v.PasswordFile)
	k.sentinels(at, v)
	if v.Timeout < 10*time.Millisecond || v.Timeout > 10*time.Second {
		k.fault(at+".timeout", fmt.Sprintf("%s is not between 10ms and 10s", v.Timeout), "write how long a request may wait for the store, such as 250ms")
	}
	if !isKeyPrefix(v.KeyPrefix) {
		k.fault(at+".key_prefix", fmt.Sprintf("%q is not a key prefix", shorten(v.KeyPrefix)), "write 1 to 16 letters, digits and - _ . : (braces would be hash tags)")
	}
	k.cache()
	if c := k.Session.Cache; c.MaxBytes > 0 && v.Timeout >= c.MaxStaleness && c.MaxStaleness >= time.Second && v.Timeout <= 10*time.Second {
		k.fault(at+".timeout", fmt.Sprintf("%s is no less than session.cache.max_staleness, %s: a frozen store would be waited for instead of the cache being used", v.Timeout, c.MaxStaleness),
			"lower timeout, or raise max_staleness")
	}
}

func (k *checker) cache() {
	c := k.Session.Cache
	switch {
	case c.MaxBytes < 0:
		k.fault("session.cache.max_bytes", "is negative", "write 0 to turn the cache off, or 1MiB or more")
	case c.MaxBytes > 0 && c.MaxBytes < minCache:
		k.fault("session.cache.max_bytes", fmt.Sprintf("%d bytes are too few for a cache to be of use", c.MaxBytes), "write 0 to turn the cache off, or 1MiB or more")
	}
	if c.MaxStaleness < time.Second || c.MaxStaleness > time.Minute {
		k.fault("session.cache.max_staleness", fmt.Sprintf("%s is not between 1s and 60s", c.MaxStaleness),
			"write how long a session may be served when the store falls silent, such as 5s")
	}
}

func (k *checker) valkeyURLs(at string) {
	v := k.Session.Valkey
	if k.lost.touches(at + ".sentinel_master") {
		v.SentinelMaster = "unknown" // there is one, so the entries are sentinels
	}
	at += ".urls"
	if len(v.URLs) == 0 {
		k.missing(at, "is empty", "write [valkey://HOST:6379], or remove it for valkey://127.0.0.1:6379")
	}
	_, faults := v.parse()
	for _, f := range faults {
		k.fault(item(at, f.entry), f.problem, f.fix)
	}
}

func (k *checker) valkeyTLS(at string, t ClientTLS) {
	addrs, err := k.Session.Valkey.Addresses()
	plain := err == nil && !addrs[0].TLS && !k.lost.touches("session.valkey.urls")
	k.clientTLS(at, t, plain, "no entry of urls begins with valkeys://", "write valkeys:// there, or remove it")
}

// valkeyUser checks a user, whose keys are username, password and
// password_file with a prefix. A password without a user is the default user's.
func (k *checker) valkeyUser(at, prefix, username string, password Secret, file string) {
	key := prefix + "password"
	k.secret(at, key, password, file)
	if username == "" {
		return
	}
	if !isOneWord(username) {
		k.fault(join(at, prefix+"username"), "holds spaces or control characters", "write the name that ACL SETUSER knows")
	}
	if password == "" && file == "" && !k.given(join(at, key)) {
		k.missing(join(at, key+"_file"), "is missing beside "+prefix+"username", "write "+key+"_file: FILE")
	}
}

func (k *checker) sentinels(at string, v Valkey) {
	if v.SentinelMaster != "" {
		if !isOneWord(v.SentinelMaster) {
			k.fault(at+".sentinel_master", "holds spaces or control characters", "write the name that stands after `sentinel monitor`")
		}
		k.valkeyUser(at, "sentinel_", v.SentinelUsername, v.SentinelPassword, v.SentinelPasswordFile)
		return
	}
	if k.lost.touches(at + ".sentinel_master") {
		return
	}
	for _, key := range [][2]string{
		{"sentinel_username", v.SentinelUsername}, {"sentinel_password", v.SentinelPassword.Reveal()}, {"sentinel_password_file", v.SentinelPasswordFile},
	} {
		if key[1] != "" {
			k.fault(join(at, key[0]), "does not apply without sentinel_master", "write sentinel_master: NAME, or remove it")
		}
	}
}

// isOneWord accepts what Valkey takes as the name of a user or a master.
func isOneWord(s string) bool { return isPlainText(s) && !strings.Contains(s, " ") }

func isKeyPrefix(s string) bool {
	for _, c := range []byte(s) {
		if !isAlnum(c) && !strings.ContainsRune("-_.:", rune(c)) {
			return false
		}
	}
	return s != "" && len(s) <= 16
}
