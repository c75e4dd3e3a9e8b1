package session

import (
	"net/netip"
	"slices"
)

// Client is from where a session began, for its user to recognise it by: the
// browser and the system in a word each, and the address in the network. The zero
// Client says nothing. Only the address is proven, as far as the proxies in front
// are trusted. It takes 18 bytes, since there are many sessions in memory.
type Client struct {
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
	c := Client{browser: wordPlace(browser), system: wordPlace(system)}
	if address.IsValid() {
		c.address = address.WithZone("").As16()
	}
	return c
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
	if c.address == [16]byte{} {
		return netip.Addr{}
	}
	return netip.AddrFrom16(c.address).Unmap()
}

// Browser returns the browser or program in a word, or "".
func (c Client) Browser() string { return wordAt(c.browser) }

// System returns the operating system in a word, or "".
func (c Client) System() string { return wordAt(c.system) }

// Equal reports whether both say the same.
func (c Client) Equal(other Client) bool { return c == other }

// pack is the client as a record holds it; "" for the zero Client.
func (c Client) pack() string {
	if c == (Client{}) {
		return ""
	}
	return string(append([]byte{c.browser, c.system}, c.Address().AsSlice()...))
}

// unpackClient reverses pack. It takes any string, since a later release may say
// more.
func unpackClient(packed string) Client {
	if len(packed) < 2 {
		return Client{}
	}
	c := Client{browser: packed[0], system: packed[1]}
	if a, ok := netip.AddrFromSlice([]byte(packed[2:])); ok {
		c.address = a.As16()
	}
	return c
}
