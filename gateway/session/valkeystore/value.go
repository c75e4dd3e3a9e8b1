package valkeystore

import (
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/sallyport/sallyport/gateway/session"
)

// A session's value is a format byte, the bytes of the key that its name does
// not hold, and the record (session.Marshal) deflated with a preset dictionary.
// Deflating takes a third off; it is undone once for each time that a gateway
// does not have the session.
const (
	formatDeflate1 = 1
	valueHead      = 1 + len(session.Key{}) - handleSize
)

// maxRecord bounds what a value may inflate to.
const maxRecord = 4 << 20

// dictionary1 is part of the format: texts that identities share, the most
// common ones last (RFC 1950, section 2.2 on preset dictionaries). Change it
// only together with the format byte.
const dictionary1 = "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport" +
	"urn:mace:incommon:iap:silverbronzegold" +
	"https://login.microsoftonline.com/https://accounts.google.comhttps://auth.okta.com/oauth2/defaulthttps://github.com/" +
	"phoneEngineeringMarketingFinanceSalesSupportSecurityResearchProduct" +
	"viewereditorownermanagerdeveloperreaderwriterusersplatformoncallengineeringadministrators" +
	"Asia/SeoulAsia/TokyoAmerica/New_YorkAmerica/Los_AngelesEurope/ParisEurope/BerlinEurope/London" +
	"ko-KRja-JPfr-FRde-DEen-GBen-US" +
	"https://www..netorgcost_centerdepartmentexternal.tenant" +
	"staffadminuser@gmail.com@example.com/realms/https://id."

var errValue = errors.New("session store: a value is damaged")

// codec packs values. It is safe for concurrent use.
type codec struct{ deflaters, inflaters sync.Pool }

type deflater struct {
	w   *flate.Writer
	out bytes.Buffer
}

type inflater struct {
	in  strings.Reader
	r   io.ReadCloser
	out bytes.Buffer
}

// pack returns the value of a session.
func (c *codec) pack(s *session.Session) (string, error) {
	record, err := session.Marshal(s)
	if err != nil {
		return "", err
	}
	d, ok := c.deflaters.Get().(*deflater)
	if !ok {
		d = &deflater{}
		if d.w, err = flate.NewWriterDict(&d.out, flate.BestCompression, []byte(dictionary1)); err != nil {
			return "", err
		}
	}
	defer c.deflaters.Put(d)
	d.out.Reset()
	d.out.WriteByte(formatDeflate1)
	d.out.Write(s.Identity.Ref[handleSize:])
	d.w.Reset(&d.out)
	if _, err := d.w.Write(record); err != nil {
		return "", err
	}
	if err := d.w.Close(); err != nil {
		return "", err
	}
	return d.out.String(), nil
}

// unpack decodes the value of the session whose name holds h, and says how large
// its record is. An unknown format and a damaged value are errors and never
// ErrNotFound: the session may exist.
func (c *codec) unpack(h handle, value string) (s *session.Session, size int, err error) {
	if len(value) <= valueHead {
		return nil, 0, errValue
	}
	if value[0] != formatDeflate1 {
		return nil, 0, fmt.Errorf("session store: value format %d is not known to this release", value[0])
	}
	var key session.Key
	copy(key[:], h[:])
	copy(key[handleSize:], value[1:valueHead])
	f, ok := c.inflaters.Get().(*inflater)
	if !ok {
		f = &inflater{}
		f.r = flate.NewReaderDict(&f.in, []byte(dictionary1))
	}
	defer c.inflaters.Put(f)
	record, err := f.inflate(value[valueHead:])
	if err != nil {
		return nil, 0, err
	}
	s, err = session.Unmarshal(key, record) // copies what it keeps
	return s, len(record), err
}

// inflate returns a slice that holds until the next call.
func (f *inflater) inflate(data string) ([]byte, error) {
	f.in.Reset(data)
	f.out.Reset()
	if err := f.r.(flate.Resetter).Reset(&f.in, []byte(dictionary1)); err != nil { //nolint:forcetypeassert // documented by NewReaderDict
		return nil, err
	}
	n, err := f.out.ReadFrom(io.LimitReader(f.r, maxRecord+1))
	if err != nil || n > maxRecord || f.in.Len() > 0 {
		return nil, errValue
	}
	return f.out.Bytes(), nil
}
