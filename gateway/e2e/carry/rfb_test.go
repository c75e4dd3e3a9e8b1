//go:build e2e

package carry_test

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
)

// screen is a machine whose screen is shared by the RFB protocol (RFC 6143,
// version 3.8, no security): all of it has one colour, and each key that is
// pressed changes that.
type screen struct {
	addr  string
	ended chan error // why each viewer's connection has ended
}

const screenWidth, screenHeight = 320, 200

// colours are those of the screen, in turn: red, green, blue.
func colours() [][3]byte { return [][3]byte{{0xd0, 0x20, 0x30}, {0x20, 0xb0, 0x60}} }

func startScreen(t *testing.T) *screen {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	s := &screen{addr: l.Addr().String(), ended: make(chan error, 16)}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { _ = c.Close() })
			go func() { s.ended <- show(c) }()
		}
	}()
	return s
}

// show serves one viewer until it leaves.
func show(c net.Conn) error {
	defer c.Close()
	in := bufio.NewReader(c)
	skip := func(n int64) error { _, err := io.CopyN(io.Discard, in, n); return err }
	if _, err := c.Write([]byte("RFB 003.008\n")); err != nil {
		return err
	}
	if err := skip(12); err != nil {
		return err
	}
	if _, err := c.Write([]byte{1, 1}); err != nil { // one kind of security: none
		return err
	}
	if err := skip(1); err != nil {
		return err
	}
	if _, err := c.Write(make([]byte, 4)); err != nil { // it succeeded
		return err
	}
	if err := skip(1); err != nil { // shared or not
		return err
	}
	const name = "a machine of the test"
	hello := binary.BigEndian.AppendUint16(nil, screenWidth)
	hello = binary.BigEndian.AppendUint16(hello, screenHeight)
	hello = append(hello, 32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0, 0, 0, 0)
	hello = append(binary.BigEndian.AppendUint32(hello, uint32(len(name))), name...)
	if _, err := c.Write(hello); err != nil {
		return err
	}
	return talk(c, in)
}

// talk reads what the viewer says, and paints when it asks and there is anything
// new.
func talk(c io.Writer, in *bufio.Reader) error {
	shifts, colour, asked, painted := [3]byte{16, 8, 0}, 0, false, false
	read := func(n int) ([]byte, error) {
		b := make([]byte, n)
		_, err := io.ReadFull(in, b)
		return b, err
	}
	for {
		kind, err := in.ReadByte()
		if err != nil {
			return err
		}
		var b []byte
		switch kind {
		case 0: // SetPixelFormat
			if b, err = read(19); err == nil {
				shifts = [3]byte(b[13:16])
			}
		case 2: // SetEncodings
			if b, err = read(3); err == nil {
				_, err = read(4 * int(binary.BigEndian.Uint16(b[1:])))
			}
		case 3: // FramebufferUpdateRequest
			if b, err = read(9); err == nil {
				asked, painted = true, painted && b[0] != 0
			}
		case 4: // KeyEvent
			if b, err = read(7); err == nil && b[0] != 0 {
				colour, painted = (colour+1)%len(colours()), false
			}
		case 5: // PointerEvent
			_, err = read(5)
		case 6: // ClientCutText
			if b, err = read(7); err == nil {
				_, err = read(int(binary.BigEndian.Uint32(b[3:])))
			}
		default:
			err = fmt.Errorf("the viewer sent a message of kind %d", kind)
		}
		if err != nil {
			return errors.Join(errors.New("the viewer's message broke off"), err)
		}
		if asked && !painted {
			if _, err := c.Write(picture(shifts, colours()[colour])); err != nil {
				return err
			}
			asked, painted = false, true
		}
	}
}

// picture is a FramebufferUpdate of the whole screen in raw pixels.
func picture(shifts, colour [3]byte) []byte {
	b := []byte{0, 0, 0, 1, 0, 0, 0, 0}
	b = binary.BigEndian.AppendUint16(b, screenWidth)
	b = binary.BigEndian.AppendUint16(b, screenHeight)
	b = append(b, 0, 0, 0, 0)
	pixel := uint32(0xff) << 24 // opaque: noVNC 1.3 forgets it where an update comes in pieces
	for i, shift := range shifts {
		pixel |= uint32(colour[i]) << shift
	}
	for range screenWidth * screenHeight {
		b = binary.LittleEndian.AppendUint32(b, pixel)
	}
	return b
}
