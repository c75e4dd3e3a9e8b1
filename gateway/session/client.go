package session

import (
	"net/netip"
	"strings"
)

// maxClientWord bounds each of the words of a Client in bytes, so that a session
// with one costs at most 37 bytes more in a store.
const maxClientWord = 8

// Client is from where a session began, for its user to recognise it by: the
// browser and the system in a word each, and the address in the network. It is
// packed, since most requests never look at it, and the zero Client says nothing.
// Only the address is proven, as far as the proxies in front are trusted.
type Client string

// NewClient packs a client. Words are cut to 8 bytes; an address that is not
// valid is left out, and so is the zone of one.
func NewClient(browser, system string, address netip.Addr) Client {
	a := address.Unmap().WithZone("").AsSlice()
	packed := append([]byte{byte(len(a))}, a...)
	packed = append(packed, cutWord(browser)...)
	packed = append(packed, '/')
	packed = append(packed, cutWord(system)...)
	if len(packed) == len("\x00/") {
		return ""
	}
	return Client(packed)
}

func cutWord(s string) string {
	s = strings.ReplaceAll(s, "/", "")
	return s[:min(len(s), maxClientWord)]
}

// Address returns the address in the network, not valid where it is not known.
func (c Client) Address() netip.Addr {
	address, _ := c.split()
	a, _ := netip.AddrFromSlice([]byte(address))
	return a
}

// Browser returns the browser or program in a word, or "".
func (c Client) Browser() string {
	_, words := c.split()
	browser, _, _ := strings.Cut(words, "/")
	return browser
}

// System returns the operating system in a word, or "".
func (c Client) System() string {
	_, words := c.split()
	_, system, _ := strings.Cut(words, "/")
	return system
}

// split takes any string, since damage may be in a store.
func (c Client) split() (address, words string) {
	if c == "" {
		return "", ""
	}
	n := int(c[0])
	if rest := string(c[1:]); n <= len(rest) {
		return rest[:n], rest[n:]
	}
	return "", ""
}
