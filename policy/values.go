package policy

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync/atomic"
)

// Values are values of a Match that can change while policies use them, such as
// those of a file. They are safe for concurrent use. New Values hold nothing, and
// what holds nothing fits nobody.
type Values struct {
	field string
	held  atomic.Pointer[heldValues]
}

type heldValues struct {
	words words
	nets  []netip.Prefix
}

// NewValues makes Values for a field of Match: groups, emails, email_domains,
// subjects, issuers or cidr.
func NewValues(field string) *Values { return &Values{field: field} }

// maxValues bounds what one file can make a gateway hold.
const maxValues = 1_000_000

// SetText takes values from text, one a line; empty lines, and what follows a # at
// the start of a line or after a space, say nothing. It reports every line that is
// wrong, and then changes nothing.
func (v *Values) SetText(text string) error {
	var list []string
	var faults []error
	number := 0
	for line := range strings.Lines(text) {
		number++
		if at := strings.Index(line, " #"); at >= 0 {
			line = line[:at]
		}
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		if problem := v.check(line); problem != "" {
			faults = append(faults, fmt.Errorf("line %d: %s", number, problem))
		}
		list = append(list, line)
	}
	if len(list) > maxValues {
		faults = append(faults, fmt.Errorf("%d values: at most %d are taken", len(list), maxValues))
	}
	if err := errors.Join(faults...); err != nil {
		return err
	}
	next := &heldValues{}
	switch v.field {
	case "cidr":
		for _, s := range list {
			network, _ := parseNetwork(s)
			next.nets = append(next.nets, network)
		}
	case "emails", "email_domains":
		next.words = newWords(foldedList(list))
	default:
		next.words = newWords(list)
	}
	v.held.Store(next)
	return nil
}

// Len is how many values there are.
func (v *Values) Len() int {
	held := v.held.Load()
	if held == nil {
		return 0
	}
	return len(held.words.list) + len(held.nets)
}

func (v *Values) check(s string) (problem string) {
	switch v.field {
	case "cidr":
		if _, problem := parseNetwork(s); problem != "" {
			return fmt.Sprintf("%q %s", s, problem)
		}
	case "emails":
		if !plausibleAddress(s) {
			return fmt.Sprintf("%q is not an e-mail address", s)
		}
	case "email_domains":
		if !plausibleAddress("x@" + s) {
			return fmt.Sprintf("%q is not a domain", s)
		}
	}
	return ""
}

// words is what is held now; nobody, for no Values.
func (v *Values) words() words {
	if v != nil {
		if held := v.held.Load(); held != nil {
			return held.words
		}
	}
	return words{}
}

func (v *Values) networks() []netip.Prefix {
	if v != nil {
		if held := v.held.Load(); held != nil {
			return held.nets
		}
	}
	return nil
}

// parseNetwork reads a network or one address.
func parseNetwork(s string) (network netip.Prefix, problem string) {
	if address, err := netip.ParseAddr(s); err == nil && address.Zone() == "" {
		address = address.Unmap()
		return netip.PrefixFrom(address, address.BitLen()), ""
	}
	network, err := netip.ParsePrefix(s)
	switch {
	case err != nil:
		return network, "is no network and no address: write one such as 10.0.0.0/8"
	case network.Addr().Is4In6():
		return network, "is a mapped IPv4 network: write it as IPv4"
	case network != network.Masked():
		return network, "has bits set beyond its length: write " + network.Masked().String()
	}
	return network, ""
}
