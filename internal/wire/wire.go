// Package wire turns 9P2000 messages into bytes and back.
//
// The codec is Harvey-OS/ninep's, and this package is its only importer. That
// codec trusts what it is given: a count that lies makes it panic or read
// beyond the message, and a truncated integer decodes without an error. So
// every frame is checked here first, field by field, until it is certain that
// all counts add up to the frame's size; only then does the codec see it. The
// same holds the other way: what Append cannot write truly it refuses, and
// what it writes passes the check. Tauth and Rauth, which ninep lacks, are
// written here.
//
// A frame is a whole message, its size field included. Whoever reads frames
// from a connection calls FrameSize on the first bytes before it allocates
// anything: a frame of a bad size cannot be skipped and ends the connection,
// while a frame with a bad body (an error of CheckT or Decode) leaves the
// connection in step and can be answered.
//
// # Ownership
//
// Msg.Data of a decoded Twrite or Rread aliases the frame; everything else in
// a Msg is a copy. Append never keeps what it is given. Neither decoding nor
// encoding Tread, Rread, Twrite and Rwrite allocates, if the Decoder, the Msg
// and the destination are used again.
//
// # Strings
//
// A string is valid UTF-8 without NUL, in both directions (intro(5)). The one
// exception is the text of an Rerror that we send: it is repaired and cut to
// MaxEname instead, because an error must always be answerable.
package wire

import (
	"encoding/binary"
	"fmt"
	"strconv"

	"github.com/Harvey-OS/ninep/protocol"
)

// The protocol that this package speaks, and its name where a connection carries
// it both ways.
const (
	Version     = "9P2000"
	VersionBoth = "9P2000.both"
)

// Values and sizes that the protocol fixes.
const (
	NoTag = uint16(protocol.NOTAG) // the tag of Tversion
	NoFid = uint32(protocol.NOFID) // "no fid": the afid without authentication

	HeaderSize       = 7                // size[4] type[1] tag[2]
	RreadHeaderSize  = 11               // an Rread up to its data
	TwriteHeaderSize = 23               // a Twrite up to its data
	IOHDRSZ          = protocol.IOHDRSZ // what clients take off msize for the data of one message
	MaxWalk          = 16               // names in one Twalk
	MaxStat          = 1<<16 - 1        // bytes of one stat, its size field included
)

// Limits that we set ourselves.
const (
	MinMsize = 256                // below it nothing useful can be said
	MaxMsize = 1<<20 + IOHDRSZ    // the largest message of either side
	MaxEname = MinMsize - (7 + 2) // bytes of an error's text: an Rerror fits every msize
)

// Bits of Qid.Type; the same bits, 24 places up, are the high byte of
// Stat.Mode.
const (
	QTDIR    uint8 = protocol.QTDIR
	QTAPPEND uint8 = protocol.QTAPPEND
	QTEXCL   uint8 = protocol.QTEXCL
	QTAUTH   uint8 = protocol.QTAUTH
	QTFILE   uint8 = protocol.QTFILE
)

// Modes of Topen and Tcreate.
const (
	OREAD   uint8 = protocol.OREAD
	OWRITE  uint8 = protocol.OWRITE
	ORDWR   uint8 = protocol.ORDWR
	OEXEC   uint8 = protocol.OEXEC
	OTRUNC  uint8 = protocol.OTRUNC
	ORCLOSE uint8 = protocol.ORCLOSE
)

// Bits of Stat.Mode and of the perm of Tcreate, beside the nine permissions.
const (
	DMDIR    uint32 = protocol.DMDIR
	DMAPPEND uint32 = protocol.DMAPPEND
	DMEXCL   uint32 = protocol.DMEXCL
	DMAUTH   uint32 = protocol.DMAUTH
)

// A Type is the type of a message. Requests are even, replies odd, and the
// reply to T is T+1 or Rerror.
type Type uint8

// The types of messages.
const (
	Tversion Type = Type(protocol.Tversion) + iota
	Rversion
	Tauth
	Rauth
	Tattach
	Rattach
	terror // never sent
	Rerror
	Tflush
	Rflush
	Twalk
	Rwalk
	Topen
	Ropen
	Tcreate
	Rcreate
	Tread
	Rread
	Twrite
	Rwrite
	Tclunk
	Rclunk
	Tremove
	Rremove
	Tstat
	Rstat
	Twstat
	Rwstat
)

// IsT reports whether t is a request that exists.
func (t Type) IsT() bool { return t >= Tversion && t <= Twstat && t%2 == 0 && t != terror }

// IsR reports whether t is a reply that exists.
func (t Type) IsR() bool { return t >= Rversion && t <= Rwstat && t%2 == 1 }

// String returns the type's name.
func (t Type) String() string {
	if t.IsT() || t.IsR() {
		return protocol.RPCNames[protocol.MType(t)]
	}
	return "type " + strconv.Itoa(int(t))
}

// A Msg is a message of any type: each type uses the fields that the manual
// names for it and leaves the others zero.
type Msg struct {
	Type Type
	Tag  uint16

	Fid    uint32 // all requests on a file
	Newfid uint32 // Twalk
	Afid   uint32 // Tauth, Tattach
	Msize  uint32 // Tversion, Rversion
	Oldtag uint16 // Tflush
	Mode   uint8  // Topen, Tcreate
	Perm   uint32 // Tcreate
	Iounit uint32 // Ropen, Rcreate
	Offset uint64 // Tread, Twrite
	Count  uint32 // Tread, Rwrite; len(Data) in a decoded Twrite or Rread

	Version string // Tversion, Rversion
	Uname   string // Tauth, Tattach
	Aname   string // Tauth, Tattach
	Name    string // Tcreate
	Ename   string // Rerror

	Wname []string // Twalk
	Wqid  []Qid    // Rwalk
	Qid   Qid      // Rauth, Rattach, Ropen, Rcreate
	Data  []byte   // Twrite, Rread: aliases the frame
	Stat  Stat     // Twstat, Rstat
}

// A Qid is the server's name for a file: the same Type and Path, the same
// file.
type Qid struct {
	Type uint8
	Vers uint32
	Path uint64
}

// A Stat describes a file, or in Twstat what to change of it.
type Stat struct {
	Type   uint16
	Dev    uint32
	Qid    Qid
	Mode   uint32
	Atime  uint32 // seconds since 1970
	Mtime  uint32
	Length uint64
	Name   string
	UID    string
	GID    string
	MUID   string
}

// NoChange is the Stat that asks Twstat to change nothing; a request to change
// something starts from it (stat(5): all ones, and empty strings, say "don't
// touch").
func NoChange() Stat {
	return Stat{
		Type: ^uint16(0), Dev: ^uint32(0), Qid: Qid{^uint8(0), ^uint32(0), ^uint64(0)},
		Mode: ^uint32(0), Atime: ^uint32(0), Mtime: ^uint32(0), Length: ^uint64(0),
	}
}

// FrameSize returns the size of the frame that starts with b, of which at
// least four bytes must be there. The error for a size that is below the
// smallest message or above msize says so; the connection cannot go on after
// it.
func FrameSize(b []byte, msize uint32) (int, error) {
	size := binary.LittleEndian.Uint32(b)
	if size < HeaderSize {
		return 0, fmt.Errorf("message of %d bytes is shorter than a header", size)
	}
	if size > msize {
		return 0, fmt.Errorf("message of %d bytes is longer than the %d agreed on", size, msize)
	}
	return int(size), nil
}

// TwriteHeader decodes a Twrite up to its data, so that the rest of the frame
// can be read to where it shall stay. It checks the type, and that count and
// size agree; that the data is there is up to the caller.
func TwriteHeader(b []byte) (tag uint16, fid uint32, off uint64, count uint32, err error) {
	le := binary.LittleEndian
	if len(b) < TwriteHeaderSize || Type(b[4]) != Twrite {
		return 0, 0, 0, 0, malformed(Twrite, "shorter than its header")
	}
	count = le.Uint32(b[19:])
	if uint64(le.Uint32(b)) != TwriteHeaderSize+uint64(count) {
		return 0, 0, 0, 0, malformed(Twrite, whyCount)
	}
	return le.Uint16(b[5:]), le.Uint32(b[7:]), le.Uint64(b[11:]), count, nil
}

// RreadHeader does for an Rread what TwriteHeader does for a Twrite.
func RreadHeader(b []byte) (tag uint16, count uint32, err error) {
	le := binary.LittleEndian
	if len(b) < RreadHeaderSize || Type(b[4]) != Rread {
		return 0, 0, malformed(Rread, "shorter than its header")
	}
	count = le.Uint32(b[7:])
	if uint64(le.Uint32(b)) != RreadHeaderSize+uint64(count) {
		return 0, 0, malformed(Rread, whyCount)
	}
	return le.Uint16(b[5:]), count, nil
}
