package policy

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// adapter makes values of CEL out of those that JSON decodes to.
type adapter struct{}

var _ types.Adapter = adapter{}

// NativeToValue implements types.Adapter.
func (a adapter) NativeToValue(v any) ref.Val {
	switch v := v.(type) {
	case map[string]any:
		return types.NewStringInterfaceMap(a, v)
	case []any:
		return types.NewDynamicList(a, v)
	case []string:
		return types.NewStringList(a, v)
	case json.Number:
		if i, err := strconv.ParseInt(v.String(), 10, 64); err == nil {
			return types.Int(i)
		}
		f, err := v.Float64()
		if err != nil {
			return types.NewErr("a number is too large")
		}
		return types.Double(f)
	}
	return types.DefaultTypeAdapter.NativeToValue(v)
}

// claimsValue is the map of claims, which decodes those that are asked for. An
// address that nobody has verified is not among them.
type claimsValue struct {
	claims   Claims
	verified bool // the address
}

// address is the claim that identity.email is mostly made of.
const address = "email"

var _ traits.Mapper = claimsValue{}

// whole is the map with every claim decoded.
func (c claimsValue) whole() traits.Mapper {
	all := map[string]any{}
	if c.claims != nil {
		all = c.claims.All()
	}
	if !c.verified {
		delete(all, address)
	}
	return types.NewStringInterfaceMap(adapter{}, all)
}

// Find implements traits.Mapper.
func (c claimsValue) Find(key ref.Val) (ref.Val, bool) {
	name, ok := key.(types.String)
	if !ok {
		return types.MaybeNoSuchOverloadErr(key), false
	}
	if c.claims == nil || name == address && !c.verified {
		return nil, false
	}
	v := c.claims.Claim(string(name))
	if v == nil {
		return nil, false
	}
	return adapter{}.NativeToValue(v), true
}

// Get implements traits.Indexer.
func (c claimsValue) Get(key ref.Val) ref.Val {
	v, found := c.Find(key)
	if !found {
		return types.ValOrErr(v, "no such claim: %v", key)
	}
	return v
}

// Contains implements traits.Container.
func (c claimsValue) Contains(key ref.Val) ref.Val {
	v, found := c.Find(key)
	if v != nil && types.IsUnknownOrError(v) {
		return v
	}
	return types.Bool(found)
}

// Size implements traits.Sizer.
func (c claimsValue) Size() ref.Val { return c.whole().Size() }

// Iterator implements traits.Iterable.
func (c claimsValue) Iterator() traits.Iterator { return c.whole().Iterator() }

// ConvertToNative implements ref.Val.
func (c claimsValue) ConvertToNative(kind reflect.Type) (any, error) {
	return c.whole().ConvertToNative(kind)
}

// ConvertToType implements ref.Val.
func (c claimsValue) ConvertToType(kind ref.Type) ref.Val { return c.whole().ConvertToType(kind) }

// Equal implements ref.Val.
func (c claimsValue) Equal(other ref.Val) ref.Val { return c.whole().Equal(other) }

// Type implements ref.Val.
func (c claimsValue) Type() ref.Type { return types.MapType }

// Value implements ref.Val.
func (c claimsValue) Value() any { return c.whole().Value() }

// text shows a value as an expression would write it.
func text(v ref.Val) string {
	switch v := v.(type) {
	case types.String:
		return strconv.Quote(string(v))
	case types.Timestamp:
		return v.Format("2006-01-02T15:04:05Z07:00")
	case traits.Lister:
		native, err := v.ConvertToNative(reflect.TypeFor[[]string]())
		if list, ok := native.([]string); ok && err == nil {
			return "[" + shown(list) + "]"
		}
	}
	return fmt.Sprint(v.Value())
}
