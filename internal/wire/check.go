package wire

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"unicode/utf8"
)

// Why a frame is refused. Constants, so that refusing costs little.
const (
	whyShort  = "shorter than its fields"
	whyLong   = "bytes left over after its fields"
	whyCount  = "count and size disagree"
	whyString = "string is not UTF-8, or holds a NUL"
	whyNames  = "more than 16 elements in a walk"
	whyStat   = "stat's size is wrong"
)

func malformed(t Type, why string) error { return fmt.Errorf("malformed %v: %s", t, why) }

// CheckT reports what is wrong with a request: a type that is none, or fields
// that do not add up to the frame exactly.
func CheckT(frame []byte) error {
	t, p, err := open(frame)
	if err != nil {
		return err
	}
	switch t {
	case Tversion:
		p.skip(4)
		p.str()
	case Tauth:
		p.skip(4)
		p.str()
		p.str()
	case Tattach:
		p.skip(4 + 4)
		p.str()
		p.str()
	case Tflush:
		p.skip(2)
	case Twalk:
		p.skip(4 + 4)
		for range p.walkCount() {
			p.str()
		}
	case Topen:
		p.skip(4 + 1)
	case Tcreate:
		p.skip(4)
		p.str()
		p.skip(4 + 1)
	case Tread:
		p.skip(4 + 8 + 4)
	case Twrite:
		p.skip(4 + 8)
		p.data()
	case Tclunk, Tremove, Tstat:
		p.skip(4)
	case Twstat:
		p.skip(4)
		p.stat()
	default:
		return fmt.Errorf("%v is not a request", t)
	}
	return p.close(t)
}

// CheckR reports what is wrong with a reply, as CheckT does for a request.
func CheckR(frame []byte) error {
	t, p, err := open(frame)
	if err != nil {
		return err
	}
	switch t {
	case Rversion:
		p.skip(4)
		p.str()
	case Rauth, Rattach:
		p.skip(qidSize)
	case Rerror:
		p.str()
	case Rflush, Rclunk, Rremove, Rwstat:
	case Rwalk:
		p.skip(int(p.walkCount()) * qidSize)
	case Ropen, Rcreate:
		p.skip(qidSize + 4)
	case Rread:
		p.data()
	case Rwrite:
		p.skip(4)
	case Rstat:
		p.stat()
	default:
		return fmt.Errorf("%v is not a reply", t)
	}
	return p.close(t)
}

const (
	qidSize   = 13
	statFixed = 2 + 4 + qidSize + 4 + 4 + 4 + 8 // a stat between its size and its strings
)

// A fields walks over the fields of one message. The first thing wrong is kept
// in why, and leaves nothing to walk over.
type fields struct {
	b   []byte
	why string
}

// open checks the header of a frame and returns the rest.
func open(frame []byte) (Type, fields, error) {
	if len(frame) < HeaderSize {
		return 0, fields{}, fmt.Errorf("message of %d bytes is shorter than a header", len(frame))
	}
	if size := binary.LittleEndian.Uint32(frame); uint64(size) != uint64(len(frame)) {
		return 0, fields{}, fmt.Errorf("message of %d bytes says that it has %d", len(frame), size)
	}
	return Type(frame[4]), fields{b: frame[HeaderSize:]}, nil
}

// close reports the first thing wrong, or bytes left over.
func (p *fields) close(t Type) error {
	if p.why == "" && len(p.b) > 0 {
		p.why = whyLong
	}
	if p.why != "" {
		return malformed(t, p.why)
	}
	return nil
}

func (p *fields) fail(why string) {
	if p.why == "" {
		p.why = why
	}
	p.b = nil
}

func (p *fields) skip(n int) {
	if len(p.b) < n {
		p.fail(whyShort)
		return
	}
	p.b = p.b[n:]
}

func (p *fields) u16() uint16 {
	if len(p.b) < 2 {
		p.fail(whyShort)
		return 0
	}
	v := binary.LittleEndian.Uint16(p.b)
	p.b = p.b[2:]
	return v
}

func (p *fields) str() {
	n := int(p.u16())
	if len(p.b) < n {
		p.fail(whyShort)
		return
	}
	if s := p.b[:n]; !utf8.Valid(s) || bytes.IndexByte(s, 0) >= 0 {
		p.fail(whyString)
		return
	}
	p.b = p.b[n:]
}

// walkCount reads the number of names or qids of a walk.
func (p *fields) walkCount() uint16 {
	n := p.u16()
	if n > MaxWalk {
		p.fail(whyNames)
		return 0
	}
	return n
}

// data walks over count[4] data[count], which ends the message.
func (p *fields) data() {
	if len(p.b) < 4 {
		p.fail(whyShort)
		return
	}
	n := binary.LittleEndian.Uint32(p.b)
	p.b = p.b[4:]
	if uint64(n) != uint64(len(p.b)) {
		p.fail(whyCount)
		return
	}
	p.b = nil
}

// stat walks over n[2] stat[n], where the stat counts its own size once more.
func (p *fields) stat() {
	n := int(p.u16())
	if n != len(p.b) {
		p.fail(whyStat)
		return
	}
	p.dir()
	if len(p.b) > 0 {
		p.fail(whyLong)
	}
}

// dir walks over one stat, size[2] included, and leaves what follows it.
func (p *fields) dir() {
	n := int(p.u16())
	if p.why != "" {
		return
	}
	if n > len(p.b) {
		p.fail(whyStat)
		return
	}
	in := fields{b: p.b[:n]}
	in.skip(statFixed)
	for range 4 {
		in.str()
	}
	switch {
	case in.why != "":
		p.fail(in.why)
	case len(in.b) > 0:
		p.fail(whyStat)
	default:
		p.b = p.b[n:]
	}
}
