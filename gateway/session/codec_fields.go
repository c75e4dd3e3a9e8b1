package session

// What came after the first release stands at the end of a record, in any order:
// a tag and a string each. A tag that is not known is passed over, so that
// releases can differ in what they know; a field that is empty is left out, so
// that it costs nothing where it is not used. Tags are part of the format: none is
// ever used for something else.
const (
	fieldClient    = 1 // Session.Client
	fieldRoute     = 2 // Session.Route
	fieldCookieKey = 3 // the id of the key that made the cookie
)

func (w *writer) fields(s *Session) {
	w.field(fieldClient, s.Client.pack())
	w.field(fieldRoute, s.Route)
	if key := s.activity.marks.cookieKey(); key != 0 {
		w.field(fieldCookieKey, string([]byte{byte(key - 1)}))
	}
}

func (w *writer) field(tag byte, value string) {
	if value != "" {
		w.buf = append(w.buf, tag)
		w.text(value)
	}
}

func (r *reader) fields(s *Session) {
	for r.at < len(r.record) {
		tag := r.byte()
		switch value := r.text(); tag {
		case fieldClient:
			s.Client = unpackClient(value)
		case fieldRoute:
			s.Route = value
		case fieldCookieKey:
			if len(value) == 1 {
				s.activity.marks.setCookieKey(uint16(value[0]) + 1)
			}
		}
	}
}
