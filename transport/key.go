package transport

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// A Key is what a tls server, or a client, is known by: an ed25519 key. It
// goes over the wire in a certificate that it has signed itself, of which the
// other end looks at the key alone.
type Key struct {
	cert        tls.Certificate
	fingerprint string
}

// Fingerprint is what others know the key by: the SHA-256 of its
// SubjectPublicKeyInfo, in 43 characters of base64url.
func (k *Key) Fingerprint() string { return k.fingerprint }

// fingerprint is that of the key of a certificate.
func fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.RawSubjectPublicKeyInfo)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// goodFingerprint reports whether s could be what Fingerprint returns.
func goodFingerprint(s string) bool {
	sum, err := base64.RawURLEncoding.Strict().DecodeString(s)
	return err == nil && len(sum) == sha256.Size && len(s) == base64.RawURLEncoding.EncodedLen(sha256.Size)
}

// KeyDir is the folder of the user's keys, and of what the user knows of
// others: $XDG_CONFIG_HOME/hub, or ~/.config/hub without that variable. It
// need not be there yet.
func KeyDir() (string, error) {
	// A relative path is to be ignored, says the XDG specification.
	if dir := os.Getenv("XDG_CONFIG_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "hub"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil || !filepath.IsAbs(home) {
		return "", errors.New("no folder for keys: expected $HOME or $XDG_CONFIG_HOME")
	}
	return filepath.Join(home, ".config", "hub"), nil
}

// LoadKey reads the key in the file at path. If there is none it makes one
// first; of several processes that do so at once all have the same in the end.
// A file that others can read holds no secret, and is refused.
func LoadKey(path string) (*Key, error) {
	k, err := readKey(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return k, err
	}
	if err := makeKey(path); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("make key %s: %w", path, err)
	}
	return readKey(path)
}

const pemType = "PRIVATE KEY" // PKCS #8, as openssl calls it

func readKey(path string) (*Key, error) {
	if err := checkKeyDir(filepath.Dir(path)); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a fifo does not hold us up
	if err != nil {
		return nil, err
	}
	defer f.Close()
	fi, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case !fi.Mode().IsRegular():
		return nil, fmt.Errorf("key %s: not a plain file", path)
	case !trusted(ownerOf(fi), os.Geteuid()):
		return nil, fmt.Errorf("key %s belongs to %s: refused", path, who(ownerOf(fi)))
	case fi.Mode().Perm()&0o077 != 0:
		return nil, fmt.Errorf("key %s is open to others (mode %04o), who may have it by now: remove it, and another is made; or chmod 600 it", path, fi.Mode().Perm())
	}
	const most = 16 << 10
	data, err := io.ReadAll(io.LimitReader(f, most))
	if err != nil {
		return nil, fmt.Errorf("key %s: %w", path, err)
	}
	block, _ := pem.Decode(data)
	if block == nil || block.Type != pemType {
		return nil, fmt.Errorf("key %s: expected a PEM block %q", path, pemType)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("key %s: expected an ed25519 key in PKCS #8", path) // err may quote the secret
	}
	private, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("key %s: expected an ed25519 key, not %T", path, parsed)
	}
	return newKey(private)
}

// checkKeyDir refuses a folder in which others could put a key in the place of
// ours.
func checkKeyDir(dir string) error {
	fi, err := os.Stat(dir)
	switch {
	case err != nil:
		return err
	case !trusted(ownerOf(fi), os.Geteuid()):
		return fmt.Errorf("folder %s for keys belongs to %s: refused", dir, who(ownerOf(fi)))
	case fi.Mode().Perm()&0o022 != 0:
		return fmt.Errorf("folder %s for keys can be written by others (mode %04o): chmod 700 it", dir, fi.Mode().Perm())
	}
	return nil
}

// makeKey makes a key in the file at path. It is ErrExist if one is there by
// now: that one is whole, since a file gets its name when it is.
func makeKey(path string) error {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return err
	}
	var text bytes.Buffer
	if err := pem.Encode(&text, &pem.Block{Type: pemType, Bytes: der}); err != nil {
		return err
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := checkKeyDir(dir); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(dir, ".key") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(text.Bytes())
	if err := errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	// A rename would replace the key that another process has just made, and
	// that it has told somebody.
	return os.Link(tmp.Name(), path)
}

// newKey wraps a key into a certificate. Nobody looks at what else that says.
func newKey(private ed25519.PrivateKey) (*Key, error) {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "hub"},
		NotBefore:    time.Unix(0, 0),
		NotAfter:     time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), // RFC 5280: it has no end
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &Key{
		cert:        tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private, Leaf: leaf},
		fingerprint: fingerprint(leaf),
	}, nil
}
