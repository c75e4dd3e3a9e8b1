package jose

// DecodeObject reads exactly one JSON object as strictly as a token's claims
// are read: a member name that occurs twice, broken text and deep nesting are
// refused. The error is an *Invalid. Callers bound the size.
func DecodeObject(data []byte) (map[string]any, error) {
	object, err := decodeObject(data)
	if err != nil {
		return nil, &Invalid{MalformedClaims, err}
	}
	return object, nil
}

// ObjectClaims reads the registered claims of an object that DecodeObject has
// read and somebody else vouches for, such as the answer of an introspection
// endpoint. The error is an *Invalid. The object becomes Raw and must not be
// changed any more.
func ObjectClaims(object map[string]any) (*Claims, error) { return newClaims(object) }
