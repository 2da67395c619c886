package wire

import (
	"bytes"
	"encoding/binary"
)

// Tauth and Rauth in the codec's manner, for ninep has the numbers alone:
//
//	size[4] Tauth tag[2] afid[4] uname[s] aname[s]
//	size[4] Rauth tag[2] aqid[13]

// unmarshalTauth decodes a checked Tauth that starts at its tag.
func unmarshalTauth(b []byte, m *Msg) {
	le := binary.LittleEndian
	m.Afid = le.Uint32(b[2:])
	b = b[6:]
	n := 2 + int(le.Uint16(b))
	m.Uname, b = string(b[2:n]), b[n:]
	m.Aname = string(b[2:])
}

// unmarshalRauth decodes a checked Rauth that starts at its tag.
func unmarshalRauth(b []byte, m *Msg) {
	le := binary.LittleEndian
	m.Qid = Qid{Type: b[2], Vers: le.Uint32(b[3:]), Path: le.Uint64(b[7:])}
}

func marshalTauth(b *bytes.Buffer, m *Msg, size int) {
	le := binary.LittleEndian
	f := marshalHeader(b, m, size)
	f = le.AppendUint32(f, m.Afid)
	f = le.AppendUint16(f, uint16(len(m.Uname)))
	f = append(f, m.Uname...)
	f = le.AppendUint16(f, uint16(len(m.Aname)))
	f = append(f, m.Aname...)
	b.Write(f)
}

func marshalRauth(b *bytes.Buffer, m *Msg, size int) {
	le := binary.LittleEndian
	f := marshalHeader(b, m, size)
	f = append(f, m.Qid.Type)
	f = le.AppendUint32(f, m.Qid.Vers)
	f = le.AppendUint64(f, m.Qid.Path)
	b.Write(f)
}

// marshalHeader empties b, as the codec's functions do, and starts a message
// in its free space.
func marshalHeader(b *bytes.Buffer, m *Msg, size int) []byte {
	le := binary.LittleEndian
	b.Reset()
	f := le.AppendUint32(b.AvailableBuffer(), uint32(size))
	f = append(f, byte(m.Type))
	return le.AppendUint16(f, m.Tag)
}
