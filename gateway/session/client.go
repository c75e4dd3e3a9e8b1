package session

import (
	"net/netip"
	"slices"
)

// Client is from where a session began, for its user to recognise it by: the
// browser and the system in a word each, and the address in the network. The zero
// Client says nothing. Only the address is proven, as far as the proxies in front
// are trusted. It is immutable.
//
// Most requests never look at it, and there are many sessions in memory: so it is
// a pointer there, and 6 to 18 bytes in a record.
type Client struct{ known *clientParts }

type clientParts struct {
	address         [16]byte // an IPv4 address mapped to IPv6; zero = not known
	browser, system byte     // places in clientWords
}

// clientWords are the browsers and systems that a Client can name. The place in the
// list is part of the record's format: new ones go to the end.
//
//nolint:gochecknoglobals // a constant table
var clientWords = [...]string{
	"",
	"Chrome", "Edge", "Firefox", "Kakao", "Naver", "Opera", "Safari", "Samsung", "Whale",
	"curl", "Go", "Java", "OkHttp", "Python", "Wget",
	"Android", "ChromeOS", "iPad", "iPhone", "Linux", "macOS", "Unix", "Windows",
}

// NewClient makes a Client. A word that is not on the list, and an address that is
// not valid, are left out; so is the zone of an address.
func NewClient(browser, system string, address netip.Addr) Client {
	c := clientParts{browser: wordPlace(browser), system: wordPlace(system)}
	if address.IsValid() {
		c.address = address.WithZone("").As16()
	}
	if c == (clientParts{}) {
		return Client{}
	}
	return Client{&c}
}

func wordPlace(word string) byte {
	return byte(max(0, slices.Index(clientWords[:], word)))
}

func wordAt(place byte) string {
	if int(place) < len(clientWords) {
		return clientWords[place]
	}
	return "" // of a later release
}

// Address returns the address in the network, not valid where it is not known.
func (c Client) Address() netip.Addr {
	if c.known == nil || c.known.address == [16]byte{} {
		return netip.Addr{}
	}
	return netip.AddrFrom16(c.known.address).Unmap()
}

// Browser returns the browser or program in a word, or "".
func (c Client) Browser() string {
	if c.known == nil {
		return ""
	}
	return wordAt(c.known.browser)
}

// System returns the operating system in a word, or "".
func (c Client) System() string {
	if c.known == nil {
		return ""
	}
	return wordAt(c.known.system)
}

// Equal reports whether both say the same.
func (c Client) Equal(other Client) bool {
	if c.known == nil || other.known == nil {
		return c.known == other.known
	}
	return *c.known == *other.known
}

// pack is the client as a record holds it; "" for the zero Client.
func (c Client) pack() string {
	if c.known == nil {
		return ""
	}
	return string(append([]byte{c.known.browser, c.known.system}, c.Address().AsSlice()...))
}

// unpackClient reverses pack. It takes any string, since a later release may say
// more.
func unpackClient(packed string) Client {
	if len(packed) < 2 {
		return Client{}
	}
	c := clientParts{browser: packed[0], system: packed[1]}
	if a, ok := netip.AddrFromSlice([]byte(packed[2:])); ok {
		c.address = a.As16()
	}
	if c == (clientParts{}) {
		return Client{}
	}
	return Client{&c}
}
