package p9

import "strings"

// Elements of an aname that mean something to the server.
const (
	anameV9fs  = "v9fs"   // asks for the cure of Linux's client; see fid.cure
	anameToken = "token=" // the token of a login, for clients that know no Tauth
)

// An aname is what a Tattach asks for: elements apart by commas, or by plus
// signs where commas have a meaning of their own, as in the options of mount(8).
type aname string

func anameSeparator(r rune) bool { return r == ',' || r == '+' }

// v9fs reports whether the cure is asked for.
func (a aname) v9fs() bool {
	for _, e := range strings.FieldsFunc(string(a), anameSeparator) {
		if e == anameV9fs {
			return true
		}
	}
	return false
}

// login returns the token, if there is one.
func (a aname) login() (token string, ok bool) {
	for _, e := range strings.FieldsFunc(string(a), anameSeparator) {
		if t, is := strings.CutPrefix(e, anameToken); is {
			return t, true
		}
	}
	return "", false
}

// shown returns the aname as it may be seen: without values, for one may be a
// token, however its name is spelt.
func (a aname) shown() string {
	var b strings.Builder
	hide := false
	for _, r := range string(a) {
		if anameSeparator(r) {
			hide = false
		}
		if !hide {
			b.WriteRune(r)
		}
		if r == '=' && !hide {
			hide = true
			b.WriteString("…")
		}
	}
	return b.String()
}
