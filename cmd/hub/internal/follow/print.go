package follow

import (
	"bytes"
	"encoding/json"
	"regexp"
	"time"
	"unicode/utf8"

	"hubfs/shellctl"
)

// A Printer writes the lines of one hub for people, or as objects of JSON.
type Printer struct {
	Hub    string
	Label  string         // stands before each line
	Stamps bool           // and so does the time at which it came
	Grep   *regexp.Regexp // only lines that match; nil: all
	JSON   bool
}

// Append appends a line to dst as it is to be shown, unless it is not to be.
func (p *Printer) Append(dst []byte, t Text) []byte {
	if p.Grep != nil && !p.Grep.Match(bytes.TrimSuffix(t.Line, []byte("\r"))) {
		return dst
	}
	if p.JSON {
		return p.appendJSON(dst, t)
	}
	dst = append(dst, p.Label...)
	if p.Stamps {
		dst = t.At.Local().AppendFormat(dst, "2006-01-02 15:04:05 ")
	}
	return append(append(dst, t.Line...), '\n')
}

// appendJSON appends the object of a line.
func (p *Printer) appendJSON(dst []byte, t Text) []byte {
	o := struct {
		Hub     string    `json:"hub"`
		Offset  int64     `json:"offset"`
		Time    time.Time `json:"time,omitzero"`
		Text    *string   `json:"text,omitempty"`
		Base64  []byte    `json:"base64,omitempty"` // where the line is no UTF-8
		Partial bool      `json:"partial,omitempty"`
	}{Hub: p.Hub, Offset: t.Off, Time: t.At.UTC(), Partial: !t.Whole}
	if utf8.Valid(t.Line) {
		text := string(t.Line)
		o.Text = &text
	} else {
		o.Base64 = t.Line
	}
	return appendObject(dst, o)
}

// AppendSkip appends the object for bytes that were missed before off.
func (p *Printer) AppendSkip(dst []byte, off, n int64) []byte {
	return appendObject(dst, struct {
		Hub     string `json:"hub"`
		Offset  int64  `json:"offset"`
		Skipped int64  `json:"skipped"`
	}{p.Hub, off, n})
}

// AppendEnd appends the object for the end of the hub at off.
func (p *Printer) AppendEnd(dst []byte, off int64, st shellctl.Status, complete bool) []byte {
	return appendObject(dst, struct {
		Hub      string `json:"hub"`
		Offset   int64  `json:"offset"`
		End      string `json:"end"`
		Code     int    `json:"code"`
		Complete bool   `json:"complete"`
	}{p.Hub, off, st.String(), st.ExitCode(), complete})
}

// appendObject appends an object of strings, numbers and times, on a line.
func appendObject(dst []byte, o any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(o); err != nil {
		panic(err) // there is nothing in it that cannot be encoded
	}
	return append(dst, b.Bytes()...)
}
