package access

import (
	"crypto/sha256"
	"encoding/base64"
)

// fp is the fingerprint of a key.
func fp(n byte) string {
	h := sha256.Sum256([]byte{n})
	return base64.RawURLEncoding.EncodeToString(h[:])
}
