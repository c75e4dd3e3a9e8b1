package config

import (
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
)

// Where audit records go.
const (
	AuditLog    = "log"
	AuditStdout = "stdout"
	AuditFile   = "file"
	AuditSyslog = "syslog"
)

// What audit records tell of people.
const (
	PIIFull = "full"
	PIIHash = "hash"
	PIINone = "none"
)

// Audit is the stream of audit records.
type Audit struct {
	Output  string            `mapstructure:"output"`   // log | stdout | file | syslog
	PII     string            `mapstructure:"pii"`      // full | hash | none
	KeyFile string            `mapstructure:"key_file"` // for hashes that who writes the stream cannot make, and for pii: hash
	File    AuditFileOutput   `mapstructure:"file"`
	Syslog  AuditSyslogOutput `mapstructure:"syslog"`
}

// AuditFileOutput is a file that is rotated.
type AuditFileOutput struct {
	Path     string `mapstructure:"path"`                   // the file, which is made with the mode 0600
	MaxBytes int64  `mapstructure:"max_bytes" unit:"bytes"` // beyond which another file is begun
	Keep     int    `mapstructure:"keep"`                   // full files; 0 = all
}

// AuditSyslogOutput is a syslog server that takes RFC 5424.
type AuditSyslogOutput struct {
	Address string `mapstructure:"address"` // unix:///dev/log, udp://host:514, tcp://host:601
}

// Tracing says where spans go. An empty Endpoint turns it off, unless the standard
// variable OTEL_EXPORTER_OTLP_ENDPOINT names one.
type Tracing struct {
	Endpoint     string `mapstructure:"endpoint"`      // URL of an OTLP receiver
	Protocol     string `mapstructure:"protocol"`      // http | grpc
	SampleOneIn  int    `mapstructure:"sample_one_in"` // of the traces that begin here; 0 = none
	HeadersFile  string `mapstructure:"headers_file"`  // lines "Name: value", sent along
	CAFile       string `mapstructure:"ca_file"`       // PEM, of the collector; "" = the system's
	InsecureHTTP bool   `mapstructure:"insecure_http"` // spans may cross the network unencrypted
}

const (
	minAuditFile = 64 << 10
	minAuditKey  = 16 // bytes
)

func (k *checker) audit() {
	const at = "audit"
	a := k.Audit
	k.oneOf(at+".output", a.Output, AuditLog, AuditStdout, AuditFile, AuditSyslog)
	k.oneOf(at+".pii", a.PII, PIIFull, PIIHash, PIINone)
	secret := k.secret(at, "key", "", a.KeyFile)
	switch {
	case secret != "" && len(secret) < minAuditKey:
		k.fault(at+".key_file", fmt.Sprintf("holds %d bytes", len(secret)), "write at least 16 random ones, as `openssl rand -base64 32` prints")
	case a.KeyFile == "" && a.PII == PIIHash:
		k.missing(at+".key_file", "is missing, without which pseudonyms could be guessed", "write key_file: FILE, which holds what `openssl rand -base64 32` prints")
	}
	switch a.Output {
	case AuditFile:
		k.auditFile(at+".file", a.File)
	case AuditSyslog:
		k.syslogAddress(at+".syslog.address", a.Syslog.Address)
	}
}

func (k *checker) auditFile(at string, f AuditFileOutput) {
	if f.Path == "" {
		k.missing(at+".path", "is empty", "write the file that audit records are added to")
	}
	if f.MaxBytes < minAuditFile {
		k.fault(at+".max_bytes", fmt.Sprintf("%d bytes are full after a few records", f.MaxBytes), "write at least 64KiB")
	}
	if f.Keep < 0 {
		k.fault(at+".keep", "is negative", "write how many full files are kept, or 0 for all")
	}
}

func (k *checker) syslogAddress(at, raw string) {
	const fix = "write unix:///dev/log, udp://HOST:PORT or tcp://HOST:PORT"
	if raw == "" {
		k.missing(at, "is missing", fix)
		return
	}
	u, err := url.Parse(raw)
	if err != nil || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		k.fault(at, fmt.Sprintf("%q is no address of a syslog server", shorten(raw)), fix)
		return
	}
	socket := u.Scheme == "unix" && u.Host == "" && filepath.IsAbs(u.Path)
	network := (u.Scheme == "udp" || u.Scheme == "tcp") && u.Hostname() != "" && u.Port() != "" && u.Path == ""
	if !socket && !network {
		k.fault(at, fmt.Sprintf("%q is no address of a syslog server", shorten(raw)), fix)
	}
}

func (k *checker) tracing() {
	const at = "tracing"
	t := k.Tracing
	k.oneOf(at+".protocol", t.Protocol, "http", "grpc")
	if t.Endpoint != "" {
		k.outgoingURL(at+".endpoint", t.Endpoint, urlShape{path: t.Protocol == "http", slash: true}, t.InsecureHTTP)
	}
	if t.SampleOneIn < 0 {
		k.fault(at+".sample_one_in", "is negative", "write 1 for every trace, 100 for one in a hundred, or 0 for none that begins here")
	}
	headers := k.secret(at, "headers", "", t.HeadersFile)
	if _, err := ParseHeaderLines(headers); err != nil {
		k.fault(at+".headers_file", err.Error(), `write lines such as "Authorization: Bearer ..."`)
	}
	k.file(at+".ca_file", t.CAFile)
}

// ParseHeaderLines reads lines "Name: value". The error does not show them.
func ParseHeaderLines(text Secret) (map[string]string, error) {
	headers := map[string]string{}
	n := 0
	for line := range strings.Lines(text.Reveal()) {
		n++
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		if value = strings.TrimSpace(value); !ok || name == "" || value == "" || strings.ContainsAny(name, " \t\"") {
			return nil, fmt.Errorf("line %d is no header", n)
		}
		headers[name] = value
	}
	return headers, nil
}
