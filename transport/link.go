package transport

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

// linkScheme begins every link.
const linkScheme = "hub://"

// maxLink is how long a link may be.
const maxLink = 4096

// A Link is what somebody gives a collaborator: where a server is, by which
// key it is known, what there is meant, and a secret that opens it.
type Link struct {
	Addr  Addr   // tls; with a Pin, unless the server is known already
	Name  string // a shell or a hub; "": the server
	Token string // "": who has been let in needs none
}

const linkForm = "hub://HOST:PORT/NAME#KEY.TOKEN"

// IsLink reports whether s is meant to be a link.
func IsLink(s string) bool { return strings.HasPrefix(s, linkScheme) }

// ParseLink reads hub://HOST:PORT/NAME#FINGERPRINT.TOKEN, of which /NAME,
// .TOKEN and all from # on may be missing. Its errors hold nothing secret.
func ParseLink(s string) (Link, error) {
	rest, ok := strings.CutPrefix(s, linkScheme)
	if !ok || len(s) > maxLink || !utf8.ValidString(s) {
		return Link{}, errors.New("link: expected " + linkForm)
	}
	rest, secret, hasSecret := strings.Cut(rest, "#")
	bad := func(why string) (Link, error) {
		return Link{}, fmt.Errorf("link %q: %s: expected %s", linkScheme+rest, why, linkForm)
	}
	where, path, _ := strings.Cut(rest, "/")
	host, port, err := net.SplitHostPort(where)
	if err != nil || host == "" || host == "*" || !goodHost(host) || !goodPort(port) {
		return bad("no HOST:PORT")
	}
	l := Link{Addr: Addr{Network: "tls", Address: net.JoinHostPort(host, port)}}
	if l.Name, err = url.PathUnescape(path); err != nil || !utf8.ValidString(l.Name) || strings.ContainsFunc(l.Name, unicode.IsControl) {
		return bad("bad name")
	}
	if !hasSecret {
		return l, nil
	}
	l.Addr.Pin, l.Token, hasSecret = strings.Cut(secret, ".")
	switch {
	case !goodFingerprint(l.Addr.Pin):
		return bad("the server's key behind the # is not whole")
	case hasSecret && !goodToken(l.Token):
		return bad("the token at its end is not whole")
	}
	return l, nil
}

// goodToken reports whether s is made of the letters of base64url.
func goodToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
	})
}

// String returns the link as ParseLink reads it. It holds the secret.
func (l Link) String() string {
	var b strings.Builder
	b.WriteString(linkScheme + l.Addr.Address)
	for i, element := range strings.Split(l.Name, "/") {
		if i > 0 || l.Name != "" {
			b.WriteString("/" + url.PathEscape(element))
		}
	}
	if l.Addr.Pin != "" {
		b.WriteString("#" + l.Addr.Pin)
		if l.Token != "" {
			b.WriteString("." + l.Token)
		}
	}
	return b.String()
}
