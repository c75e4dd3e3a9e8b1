package config

import _ "embed"

// jsonSchema is made from the schema of this package, its comments and defaults:
// go test ./gateway/config -run JSONSchema -update
//
//go:embed config.schema.json
var jsonSchema []byte

// JSONSchema describes a configuration for editors (JSON Schema, draft 2020-12). What
// depends on other keys, and whether files are there, only Load knows.
func JSONSchema() []byte { return append([]byte(nil), jsonSchema...) }
