package proxy

import "encoding/binary"

// frames follows the bytes that go to a WebSocket client: the head of the
// answer, then frames (RFC 6455, section 5.2). It knows where one ends, which is
// the only place where another may be put. The zero value expects a frame.
type frames struct {
	inHead bool // of the answer: the frames begin after its blank line
	blank  int  // bytes of that line seen so far

	header [14]byte // of the frame that has begun
	have   int      // bytes of it
	left   uint64   // bytes of the frame's payload that are still to come

	closing bool // a Close frame has begun or passed: no frame may follow it
	lost    bool // this is no WebSocket
}

const endOfHead = "\r\n\r\n"

// boundary reports whether the bytes so far end with the end of a frame, or of
// the head.
func (f *frames) boundary() bool { return !f.lost && !f.inHead && f.have == 0 && f.left == 0 }

// advance follows all of b.
func (f *frames) advance(b []byte) {
	for len(b) > 0 {
		b = b[f.step(b):]
	}
}

// step follows b up to the next boundary, or all of it, and returns how much
// that was: at least one byte of a b that is not empty.
func (f *frames) step(b []byte) int {
	if f.lost {
		return len(b)
	}
	n := 0
	if f.inHead {
		for n < len(b) && f.inHead {
			f.head(b[n])
			n++
		}
		return n
	}
	for f.left == 0 && n < len(b) {
		f.header[f.have] = b[n]
		f.have++
		n++
		if f.have == f.headerSize() {
			f.begin()
			if f.boundary() || f.lost {
				break
			}
		}
	}
	if f.lost {
		return len(b)
	}
	payload := min(f.left, uint64(len(b)-n))
	f.left -= payload
	return n + int(payload)
}

// head follows one byte of the answer's head.
func (f *frames) head(c byte) {
	switch c {
	case endOfHead[f.blank]:
		f.blank++
	case endOfHead[0]:
		f.blank = 1
	default:
		f.blank = 0
	}
	f.inHead = f.blank < len(endOfHead)
}

// headerSize is how long the header is, as far as that is known.
func (f *frames) headerSize() int {
	size := 2
	if f.have < size {
		return size
	}
	switch f.header[1] & 0x7f {
	case 126:
		size += 2
	case 127:
		size += 8
	}
	if f.header[1]&0x80 != 0 { // servers don't mask, but the key would be here
		size += 4
	}
	return size
}

// Opcodes, and where control frames begin.
const (
	opBinary  = 0x2
	opControl = 0x8
	opClose   = 0x8
	opPong    = 0xa
)

// begin reads a whole header.
func (f *frames) begin() {
	f.have = 0
	op, final := f.header[0]&0x0f, f.header[0]&0x80 != 0
	length := uint64(f.header[1] & 0x7f)
	switch length {
	case 126:
		length = uint64(binary.BigEndian.Uint16(f.header[2:]))
	case 127:
		length = binary.BigEndian.Uint64(f.header[2:])
	}
	control := op >= opControl
	// RFC 6455, sections 5.2 and 5.5: what no endpoint may send.
	if op > opBinary && !control || op > opPong || length>>63 != 0 || control && (!final || length > 125) {
		f.lost = true
		return
	}
	f.left = length
	f.closing = f.closing || op == opClose
}
