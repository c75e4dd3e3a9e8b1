package jose

// ProveSignature proves the signature of a compact JWS whose payload may be
// anything. Published vectors sign text, which Parse refuses: everything but the
// payload is judged here as it is there.
func ProveSignature(raw string, set *KeySet) error {
	parts, err := split(raw)
	if err != nil {
		return &Invalid{MalformedToken, err}
	}
	h, err := readHeader(parts.header)
	if err != nil {
		return err
	}
	k, ok := set.Find(h.KeyID, h.Algorithm)
	if !ok {
		return &Invalid{UnknownKey, nil}
	}
	if err := k.prove(h.Algorithm, parts.signed, parts.signature); err != nil {
		return &Invalid{BadSignature, err}
	}
	return nil
}

// DecodeObject is the strict reader of JSON.
func DecodeObject(data []byte) (map[string]any, error) { return decodeObject(data) }

// Material is what the usable keys are made of.
func (s *KeySet) Material() []any {
	all := make([]any, 0, s.Len())
	for _, k := range s.keys {
		all = append(all, k.material)
	}
	return all
}
