package config_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/gateway/config"
)

// leafPaths walks the schema on its own, so that a key which the loader
// overlooks is noticed here.
func leafPaths(kind reflect.Type, parent string) []string {
	var paths []string
	for f := range kind.Fields() {
		name, ok := f.Tag.Lookup("mapstructure")
		switch {
		case !ok:
		case f.Type.Kind() == reflect.Struct:
			paths = append(paths, leafPaths(f.Type, parent+name+".")...)
		default:
			paths = append(paths, parent+name)
		}
	}
	return paths
}

// at returns the value of a leaf.
func at(c *config.Config, path string) any {
	v := reflect.ValueOf(c).Elem()
	for name := range strings.SplitSeq(path, ".") {
		for f := range v.Type().Fields() {
			if f.Tag.Get("mapstructure") == name {
				v = v.FieldByIndex(f.Index)
				break
			}
		}
	}
	return v.Interface()
}

func TestEveryKeyOutsideListsCanBeSetByTheEnvironment(t *testing.T) {
	const (
		plain    = "routes: [{name: app, upstream: builtin:echo, public: true}]\n"
		short    = "issuer: https://file.example.com\nclient_id: file\nupstream: http://file:1\n"
		tls      = "server: {tls: {cert_file: testdata/files/cert.pem, key_file: testdata/files/key.pem}}\n" + plain
		https    = "server: {public_url: https://app.example.com, hsts: {max_age: 8760h}}\n" + plain
		trusting = "server: {trusted_proxies: [127.0.0.1]}\n" + plain
		valkey   = "session: {store: valkey, keys_files: [testdata/files/session-key]}\n" + plain
		valkeys  = "session: {store: valkey, keys_files: [testdata/files/session-key], valkey: {urls: [valkeys://valkey.internal], " +
			"tls: {cert_file: testdata/files/cert.pem, key_file: testdata/files/key.pem}}}\n" + plain
		sentinels = "session: {store: valkey, keys_files: [testdata/files/session-key], valkey: {sentinel_master: main, " +
			"password_file: testdata/files/secret, sentinel_password_file: testdata/files/secret}}\n" + plain
	)
	tests := map[string]struct{ file, value string }{
		"server.listen":                         {plain, "127.0.0.1:18080"},
		"server.listeners":                      {plain, "[{listen: 127.0.0.1:18080, proxy_protocol: false}]"},
		"server.public_url":                     {plain, "https://app.example.com"},
		"server.auth_prefix":                    {plain, "/gate/auth"},
		"server.tls.cert_file":                  {tls, "testdata/files/secret"},
		"server.tls.key_file":                   {tls, "testdata/files/secret"},
		"server.tls.client_ca_file":             {tls, "testdata/files/secret"},
		"server.tls.client_subject":             {plain, "dn"},
		"server.tls.certificates":               {plain, "[{cert_file: testdata/files/cert.pem, key_file: testdata/files/key.pem}]"},
		"server.tls.min_version":                {plain, "1.3"},
		"server.tls.acme.domains":               {"server: {tls: {acme: {domains: [a.example.com], accept_terms: true}}}\n" + plain, "[app.example.com]"},
		"server.tls.acme.email":                 {plain, "ops@example.com"},
		"server.tls.acme.directory_url":         {plain, "https://acme.example.com/directory"},
		"server.tls.acme.ca_file":               {plain, "testdata/files/cert.pem"},
		"server.tls.acme.storage":               {plain, "/var/lib/sallyport/acme"},
		"server.tls.acme.accept_terms":          {plain, "true"},
		"server.hsts.max_age":                   {https, "1h"},
		"server.hsts.include_subdomains":        {https, "true"},
		"server.hsts.preload":                   {"server: {public_url: https://app.example.com, hsts: {max_age: 8760h, include_subdomains: true}}\n" + plain, "true"},
		"server.trusted_proxies":                {plain, "[10.0.0.0/8, unix]"},
		"server.limits.max_connections":         {plain, "100"},
		"server.limits.max_streams":             {plain, "20"},
		"server.limits.max_header_bytes":        {plain, "64KiB"},
		"server.limits.max_headers":             {plain, "40"},
		"server.limits.max_target_bytes":        {plain, "2KiB"},
		"server.limits.max_body_bytes":          {plain, "1024"},
		"server.limits.max_identity_bytes":      {plain, "1024"},
		"server.limits.read_header_timeout":     {plain, "3s"},
		"server.limits.idle_timeout":            {plain, "3s"},
		"server.drain.delay":                    {plain, "5s"},
		"server.drain.timeout":                  {plain, "30s"},
		"admin.listen":                          {plain, ""},
		"admin.token_file":                      {plain, "testdata/files/secret"},
		"admin.hosts":                           {plain, "[gateway.internal.example.com]"},
		"admin.tls.cert_file":                   {"admin: {tls: {key_file: testdata/files/key.pem}}\n" + plain, "testdata/files/cert.pem"},
		"admin.tls.key_file":                    {"admin: {tls: {cert_file: testdata/files/cert.pem}}\n" + plain, "testdata/files/key.pem"},
		"admin.tls.client_ca_file":              {"admin: {tls: {cert_file: testdata/files/cert.pem, key_file: testdata/files/key.pem}}\n" + plain, "testdata/files/cert.pem"},
		"session.store":                         {"session: {store: valkey}\n" + plain, "embedded"},
		"session.embedded.path":                 {plain, ""},
		"session.valkey.urls":                   {valkey, "[valkey://a.internal, valkey://b.internal]"},
		"session.valkey.sentinel_master":        {valkey, "main"},
		"session.valkey.username":               {sentinels, "sallyport"},
		"session.valkey.password":               {valkey, "12345"},
		"session.valkey.password_file":          {valkey, "testdata/files/secret"},
		"session.valkey.sentinel_username":      {sentinels, "sallyport"},
		"session.valkey.sentinel_password":      {"session: {valkey: {sentinel_master: main}}\n" + plain, "12345"},
		"session.valkey.sentinel_password_file": {sentinels, "testdata/files/short-secret"},
		"session.valkey.tls.ca_file":            {valkeys, "testdata/files/cert.pem"},
		"session.valkey.tls.cert_file":          {valkeys, "testdata/files/secret"},
		"session.valkey.tls.key_file":           {valkeys, "testdata/files/secret"},
		"session.valkey.tls.server_name":        {valkeys, "sessions.internal"},
		"session.valkey.timeout":                {valkey, "100ms"},
		"session.valkey.key_prefix":             {valkey, "sp2"},
		"session.cache.max_bytes":               {valkey, "0"},
		"session.cache.max_staleness":           {valkey, "1s"},
		"session.cookie.name":                   {plain, "app"},
		"session.cookie.domain":                 {"server: {public_url: https://app.example.com}\n" + plain, "example.com"},
		"session.cookie.same_site":              {plain, "strict"},
		"session.idle_timeout":                  {plain, "10m"},
		"session.absolute_timeout":              {plain, "1h"},
		"session.keys_warn_age":                 {plain, "2160h"},
		"session.keys_files":                    {plain, "[testdata/files/secret]"},
		"session.cookie.partitioned":            {"server: {public_url: https://app.example.com}\nsession: {cookie: {same_site: none}}\n" + plain, "true"},
		"session.max_per_user":                  {plain, "5"},
		"session.when_full":                     {plain, "refuse"},
		"session.refresh.ahead":                 {plain, "30s"},
		"session.refresh.grace":                 {plain, "1m"},
		"session.refresh.min_remaining":         {plain, "10s"},
		"login.logout_targets":                  {plain, "[https://www.example.com/bye]"},
		"login.keep_forms":                      {plain, "true"},
		"login.cors_origins":                    {plain, "[https://www.example.com]"},
		"login.lockout.attempts":                {plain, "5"},
		"login.lockout.per_address":             {plain, "50"},
		"login.lockout.window":                  {plain, "1m"},
		"login.providers":                       {plain, "[{name: dev, type: dev, identities: [{subject: alice}]}]"},
		"tokens.issuers":                        {plain, "[{issuer: https://id.example.com, audiences: [api]}]"},
		"tokens.introspection":                  {plain, "[{name: corp, endpoint: https://id.example.com/introspect, client_id: app, client_secret_file: testdata/files/secret}]"},
		"tokens.cache.max_bytes":                {plain, "0"},
		"tokens.dpop.max_age":                   {plain, "30s"},
		"tokens.revocation.max_staleness":       {plain, "1s"},
		"tokens.exchange.enabled":               {"tokens: {exchange: {audiences: [api]}}\n" + plain, "true"},
		"tokens.exchange.lifetime":              {plain, "1m"},
		"tokens.exchange.audiences":             {plain, "[api]"},
		"assertions.algorithm":                  {plain, "EdDSA"},
		"assertions.lifetime":                   {plain, "30s"},
		"assertions.keys_files":                 {plain, "[testdata/files/key.pem]"},
		"forward_auth.enabled":                  {trusting, "[nginx, envoy]"},
		"ext_authz.listen":                      {trusting, "127.0.0.1:9191"},
		"ext_authz.tls.cert_file":               {trusting + "ext_authz: {listen: \"127.0.0.1:9191\", tls: {key_file: testdata/files/secret}}\n", "testdata/files/secret"},
		"ext_authz.tls.key_file":                {trusting + "ext_authz: {listen: \"127.0.0.1:9191\", tls: {cert_file: testdata/files/secret}}\n", "testdata/files/secret"},
		"ext_authz.tls.client_ca_file":          {trusting + "ext_authz: {listen: \"127.0.0.1:9191\", tls: {cert_file: testdata/files/secret, key_file: testdata/files/secret}}\n", "testdata/files/secret"},
		"compat.oauth2_proxy":                   {trusting, "true"},
		"compat.forwarded_headers":              {trusting + "compat: {oauth2_proxy: true}\n", "true"},
		"policies":                              {plain, "[{name: staff, rules: [{allow: {groups: [staff]}}]}]"},
		"routes":                                {plain, "[{name: env, upstream: builtin:echo, public: true}]"},
		"pages.name":                            {plain, "Front Door"},
		"pages.logo_file":                       {plain, "testdata/files/logo.svg"},
		"pages.color":                           {plain, "#7a1f5c"},
		"lint.ignore":                           {plain, "[{code: SP010, reason: it is a test}]"},
		"log.level":                             {plain, "debug"},
		"log.format":                            {plain, "console"},
		"audit.output":                          {plain, "stdout"},
		"audit.pii":                             {plain, "none"},
		"audit.key_file":                        {plain, "testdata/files/secret"},
		"audit.file.path":                       {plain, "records.log"},
		"audit.file.max_bytes":                  {plain, "1MiB"},
		"audit.file.keep":                       {plain, "3"},
		"audit.syslog.address":                  {plain, "udp://127.0.0.1:514"},
		"tracing.endpoint":                      {plain, "http://127.0.0.1:4318"},
		"tracing.protocol":                      {plain, "grpc"},
		"tracing.sample_one_in":                 {plain, "1"},
		"tracing.headers_file":                  {plain, "testdata/files/otlp-headers"},
		"tracing.ca_file":                       {plain, "testdata/files/cert.pem"},
		"tracing.insecure_http":                 {plain, "true"},
		"issuer":                                {short, "https://id.example.com"},
		"client_id":                             {short, "12345"},
		"client_secret_file":                    {short, "testdata/files/secret"},
		"upstream":                              {short, "builtin:echo"},
		"allow":                                 {short, "{groups: [staff]}"},
	}
	for _, path := range leafPaths(reflect.TypeFor[config.Config](), "") {
		t.Run(path, func(t *testing.T) {
			test, ok := tests[path]
			if !ok {
				t.Fatal("a new key: add a value for it to this table")
			}
			entry := "SALLYPORT_" + strings.ToUpper(strings.ReplaceAll(path, ".", "__")) + "=" + test.value
			with, err := config.Parse("config.yaml", []byte(test.file), []string{entry})
			if err != nil {
				t.Fatal(err)
			}
			without, err := config.Parse("config.yaml", []byte(test.file), nil)
			if err != nil {
				return // only the variable makes the file sound: it was heard
			}
			if reflect.DeepEqual(at(with, path), at(without, path)) {
				t.Errorf("%s changes nothing: %v", entry, at(with, path))
			}
		})
	}
}

func TestOtherVariablesAreLeftAlone(t *testing.T) {
	env := []string{
		"PATH=/bin", "SALLYPORT_PORT=tcp://10.0.0.1:80", "SALLYPORT_SERVICE_HOST=10.0.0.1", "SALLYPORT_CONFIG=x",
		"SALLYPORT_SERVER=y", "sallyport_log__level=loud", "SALLYPORT_LOG__LEVEL=loud", "SALLYPORT_LOG__LEVEL=debug", "noequals",
	}
	c, err := config.Parse("config.yaml", []byte("routes: [{name: app, upstream: builtin:echo, public: true}]"), env)
	if err != nil {
		t.Fatal(err)
	}
	if c.Log.Level != "debug" {
		t.Errorf("level is %s, want that of the last variable", c.Log.Level)
	}
}

func TestListOfTheEnvironmentReplacesTheListOfTheFile(t *testing.T) {
	c := load(t, "testdata/good/environment-over-file.yaml")
	if len(c.Routes) != 1 || c.Routes[0].Name != "env" {
		t.Errorf("routes are %+v", c.Routes)
	}
	if c.Log.Format != "console" || c.Log.Level != "debug" {
		t.Errorf("log is %+v", c.Log)
	}
}
