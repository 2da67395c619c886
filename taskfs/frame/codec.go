package frame

import (
	"encoding/binary"
	"fmt"
)

// header is the bytes of the length, and most how many more there may be before
// the body: a kind, and a session of the longest form.
const (
	header = 4
	most   = 1 + binary.MaxVarintLen64
)

// maxLength is the largest length that a frame may say that it has.
const maxLength = MaxBody + 16

// check says what is wrong with a frame, if it may not be sent.
func (f Frame) check() error {
	switch {
	case f.Kind == 0 || f.Kind >= kinds:
		return fmt.Errorf("frame of unknown kind %d: want 1 to %d", uint8(f.Kind), kinds-1)
	case len(f.Body) > MaxBody:
		return fmt.Errorf("%v frame with a body of %d bytes: %d may be", f.Kind, len(f.Body), MaxBody)
	case f.Kind.OfLink() && f.Session != 0:
		return fmt.Errorf("%v frame of session %d: want 0, for it is of the link", f.Kind, f.Session)
	case !f.Kind.OfLink() && f.Session == 0:
		return fmt.Errorf("%v frame of session 0: want another, for that is the link", f.Kind)
	}
	return nil
}

// Append appends a frame as it is sent over bytes.
func Append(dst []byte, f Frame) ([]byte, error) {
	if err := f.check(); err != nil {
		return dst, err
	}
	at := len(dst)
	dst = append(dst, 0, 0, 0, 0, byte(f.Kind))
	dst = binary.AppendUvarint(dst, f.Session)
	dst = append(dst, f.Body...)
	binary.LittleEndian.PutUint32(dst[at:], uint32(len(dst)-at-header))
	return dst, nil
}

// Next takes the first frame from p. The frame's body is part of p. n is how many
// bytes it was; 0 and no error say that p does not hold all of it yet, and want
// is then how many bytes it has to hold. What is wrong is found as soon as it can
// be.
func Next(p []byte) (f Frame, n, want int, err error) {
	if len(p) < header {
		return Frame{}, 0, header, nil
	}
	length := binary.LittleEndian.Uint32(p)
	if length < 2 || length > maxLength {
		return Frame{}, 0, 0, fmt.Errorf("frame that says it is %d bytes long: want 2 to %d", length, maxLength)
	}
	end := header + int(length)
	got := p[header:min(len(p), end)]
	if len(got) == 0 {
		return Frame{}, 0, end, nil
	}
	f.Kind = Kind(got[0])
	session, k := binary.Uvarint(got[1:min(len(got), most)])
	switch {
	case k < 0, k == 0 && len(got) >= most:
		return Frame{}, 0, 0, fmt.Errorf("%v frame whose session is larger than 64 bits", f.Kind)
	case k == 0 && len(got) == int(length):
		return Frame{}, 0, 0, fmt.Errorf("%v frame that ends within its session", f.Kind)
	case k == 0:
		return Frame{}, 0, end, nil
	case k > 1 && got[k] == 0:
		return Frame{}, 0, 0, fmt.Errorf("%v frame whose session is not of the shortest form", f.Kind)
	}
	f.Session = session
	if size := int(length) - 1 - k; size > MaxBody {
		return Frame{}, 0, 0, fmt.Errorf("%v frame with a body of %d bytes: %d may be", f.Kind, size, MaxBody)
	}
	if err := f.check(); err != nil {
		return Frame{}, 0, 0, err
	}
	if len(p) < end {
		return Frame{}, 0, end, nil
	}
	f.Body = got[1+k:]
	return f, end, end, nil
}
