package proxy

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"testing"
)

// frame makes a frame as the application sends it.
func frame(first byte, masked bool, payload int) []byte {
	var mask byte
	if masked {
		mask = 0x80
	}
	b := []byte{first}
	switch {
	case payload < 126:
		b = append(b, mask|byte(payload))
	case payload < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, mask|126), uint16(payload))
	default:
		b = binary.BigEndian.AppendUint64(append(b, mask|127), uint64(payload))
	}
	if masked {
		b = append(b, 1, 2, 3, 4)
	}
	return append(b, make([]byte, payload)...)
}

const answerHead = "HTTP/1.1 101 Switching Protocols\r\nX: \r\r\n\r\r\r\n\r\n"

func TestFramesEndWhereTheyEnd(t *testing.T) {
	for name, c := range map[string]struct {
		bytes         []byte
		boundary      bool
		closing, lost bool
	}{
		"nothing":                                 {nil, false, false, false},
		"the head alone":                          {[]byte(answerHead), true, false, false},
		"most of the head":                        {[]byte(answerHead[:len(answerHead)-1]), false, false, false},
		"an empty frame":                          {frame(0x81, false, 0), true, false, false},
		"half a header":                           {[]byte{0x81}, false, false, false},
		"a short frame":                           {frame(0x81, false, 125), true, false, false},
		"a short frame, but for a byte":           {frame(0x81, false, 125)[:126], false, false, false},
		"a frame with 16 bits of length":          {frame(0x82, false, 126), true, false, false},
		"half of those 16 bits":                   {frame(0x82, false, 126)[:3], false, false, false},
		"a frame with 64 bits of length":          {frame(0x82, false, 1<<16), true, false, false},
		"seven of those eight bytes":              {frame(0x82, false, 1<<16)[:9], false, false, false},
		"a masked frame":                          {frame(0x82, true, 70000), true, false, false},
		"a masked frame without its last byte":    {frame(0x82, true, 3)[:8], false, false, false},
		"a compressed frame":                      {frame(0xc1, false, 9), true, false, false},
		"between the fragments of a message":      {frame(0x01, false, 9), true, false, false},
		"after a Close frame":                     {frame(0x88, false, 2), true, true, false},
		"in a Close frame":                        {frame(0x88, false, 2)[:3], false, true, false},
		"a text that looks like a Close frame":    {append(frame(0x82, false, 0), 0x82, 1, 0x88), true, false, false},
		"two frames":                              {append(frame(0x82, false, 200), frame(0x89, false, 0)...), true, false, false},
		"an opcode that does not exist":           {frame(0x83, false, 1), false, false, true},
		"a control opcode that does not exist":    {frame(0x8b, false, 1), false, false, true},
		"a control frame that is too long":        {frame(0x89, false, 126), false, false, true},
		"a control frame in fragments":            {frame(0x09, false, 1), false, false, true},
		"a length of more than 63 bits":           {[]byte{0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0}, false, false, true},
		"text that is no WebSocket":               {[]byte("<html>, and so on"), false, false, true},
		"a frame after what is no WebSocket":      {append([]byte{0x8f, 1}, frame(0x82, false, 1)...), false, false, true},
		"a length that the header says elsewhere": {[]byte{0x82, 126, 0, 1, 'x'}, true, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			f := frames{inHead: true}
			if name != "nothing" && !bytes.HasPrefix(c.bytes, []byte("HTTP/")) {
				f.advance([]byte(answerHead))
			}
			f.advance(c.bytes)
			if f.boundary() != c.boundary || f.closing != c.closing || f.lost != c.lost {
				t.Errorf("boundary %v, closing %v, lost %v", f.boundary(), f.closing, f.lost)
			}
		})
	}
}

// reference reads a whole stream of frames at once: where each one ends, where
// the first Close frame begins to be known, and where the stream stopped to be
// one of frames; -1 for never.
func reference(b []byte) (ends []int, closing, lost int) {
	closing, lost = -1, -1
	for at := 0; ; {
		if len(b)-at < 2 {
			return ends, closing, lost
		}
		h, code, length := at+2, b[at+1]&0x7f, uint64(b[at+1]&0x7f)
		extra := map[byte]int{126: 2, 127: 8}[code]
		if b[at+1] >= 0x80 {
			extra += 4
		}
		if len(b)-h < extra {
			return ends, closing, lost
		}
		switch code {
		case 126:
			length = uint64(b[h])<<8 | uint64(b[h+1])
		case 127:
			length = 0
			for _, c := range b[h : h+8] {
				length = length<<8 | uint64(c)
			}
		}
		h += extra
		op := b[at] & 0x0f
		if !slices.Contains([]byte{0, 1, 2, 8, 9, 10}, op) || length >= 1<<63 || op >= 8 && (b[at] < 0x80 || length > 125) {
			return ends, closing, h
		}
		if op == 8 && closing < 0 {
			closing = h
		}
		if uint64(len(b)-h) < length {
			return ends, closing, lost
		}
		at = h + int(length)
		ends = append(ends, at)
	}
}

// FuzzFramesAreFollowedHoweverTheyAreCut compares the tracker with the reference
// for a stream that arrives in pieces.
func FuzzFramesAreFollowedHoweverTheyAreCut(f *testing.F) {
	for _, seed := range [][]byte{
		frame(0x81, false, 5), frame(0x82, true, 126),
		{0x82, 127, 0, 0, 0, 0, 0, 0, 0, 1, 'x'},
		append(frame(0x01, false, 3), frame(0x88, false, 2)...),
		{0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0, 1},
		[]byte("<html>"),
		{},
	} {
		f.Add(seed, []byte{1, 2, 3})
		f.Add(append(frame(0x89, false, 0), seed...), []byte{200})
	}
	f.Fuzz(func(t *testing.T, stream, cuts []byte) {
		if len(stream) > 4<<10 {
			return // the comparison is quadratic
		}
		ends, closing, lost := reference(stream)
		check := func(how string, f *frames, at int) {
			t.Helper()
			atEnd := (at == 0 || slices.Contains(ends, at)) && (lost < 0 || at < lost)
			if got := fmt.Sprint(f.boundary(), f.closing, f.lost); got != fmt.Sprint(atEnd, closing >= 0 && at >= closing, lost >= 0 && at >= lost) {
				t.Fatalf("%s: after %d bytes: %s; ends %v, closing %d, lost %d", how, at, got, ends, closing, lost)
			}
		}
		var pieces, steps frames
		check("at first", &pieces, 0)
		for at, i := 0, 0; at < len(stream); i++ {
			size := len(stream) - at
			if i < len(cuts) {
				size = min(size, int(cuts[i]))
			}
			pieces.advance(stream[at : at+size])
			at += size
			check("in pieces", &pieces, at)
		}
		for at := 0; at < len(stream); {
			n := steps.step(stream[at:])
			if n == 0 {
				t.Fatalf("no step from %d", at)
			}
			for _, end := range ends {
				if at < end && end < at+n {
					t.Fatalf("the step from %d to %d passes the end at %d", at, at+n, end)
				}
			}
			at += n
			check("in steps", &steps, at)
		}
	})
}
