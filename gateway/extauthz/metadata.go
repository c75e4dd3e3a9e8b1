package extauthz

import (
	"google.golang.org/protobuf/types/known/structpb"
)

// metadata is what Envoy's access log and other filters learn of the decision, in
// the namespace envoy.filters.http.ext_authz. What is not known is not there. An
// address that nobody has verified is not there either: others decide by it.
func (c *check) metadata() *structpb.Struct {
	fields := make(map[string]*structpb.Value, 9)
	put := func(name, value string) {
		if value != "" {
			fields[name] = structpb.NewStringValue(text(value))
		}
	}
	v := &c.verdict
	put("reason", v.Reason)
	put("rule", v.Rule)
	put("decision", v.Decision)
	if v.Route != nil {
		put("route", v.Route.Name)
		put("policy", v.Route.Policy.Name())
	}
	if id := v.Identity; id != nil {
		put("iss", id.Issuer)
		put("sub", id.Subject)
		if id.EmailVerified {
			put("email", id.Email)
		}
		put("session_id_hash", v.Session())
		groups := make([]*structpb.Value, len(id.Groups))
		for i, group := range id.Groups {
			groups[i] = structpb.NewStringValue(text(group))
		}
		fields["groups"] = structpb.NewListValue(&structpb.ListValue{Values: groups})
	}
	if len(fields) == 0 {
		return nil
	}
	return &structpb.Struct{Fields: fields}
}
