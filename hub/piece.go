package hub

// A Piece is a run of a stream's bytes. Nobody may change them.
type Piece struct {
	Data  []byte
	Owner interface{ Free() } // told when Data is no longer looked at; nil: nobody
}

// Free says that the holder is done with the piece. To forget it is safe: the
// garbage collector takes the bytes. To call it twice is a bug, which panics
// where it can be seen.
func (p Piece) Free() {
	if p.Owner != nil {
		p.Owner.Free()
	}
}
