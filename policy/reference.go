package policy

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// Name is a name that expressions can use.
type Name struct {
	Name  string
	Type  string // in the notation of CEL
	Doc   string
	Value string // for some Input, as an expression would write it
}

// Vocabulary returns every name that an expression can use, in the order of the
// reference page, each with its value for in.
func (e *Engine) Vocabulary(in *Input) []Name {
	a := newActivation(e.lang, in)
	defer a.free()
	var all []Name
	for _, v := range vocabulary() {
		all = append(all, Name{Name: v.name, Type: typeName(v.kind), Doc: v.doc, Value: literal(v.read(a))})
	}
	return all
}

// typeName is a type in the notation of CEL, which times have another one of.
func typeName(t *cel.Type) string {
	if t.IsExactType(cel.TimestampType) {
		return "timestamp"
	}
	return t.String()
}

// literal writes a value as an expression would.
func literal(v ref.Val) string {
	var native any
	var err error
	switch v := v.(type) {
	case types.Timestamp:
		return fmt.Sprintf("timestamp(%q)", text(v))
	case traits.Lister:
		native, err = v.ConvertToNative(reflect.TypeFor[[]any]())
	case traits.Mapper:
		native, err = v.ConvertToNative(reflect.TypeFor[map[string]any]())
	default:
		return text(v)
	}
	if err != nil {
		return v.Type().TypeName()
	}
	return compound(native)
}

// compound writes what JSON decodes to.
func compound(v any) string {
	switch v := v.(type) {
	case []any:
		parts := make([]string, len(v))
		for i := range v {
			parts[i] = compound(v[i])
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case map[string]any:
		var parts []string
		for _, name := range slices.Sorted(maps.Keys(v)) {
			parts = append(parts, compound(name)+": "+compound(v[name]))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	}
	written, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(written)
}
