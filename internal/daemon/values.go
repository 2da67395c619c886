package daemon

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"hubfs/transport"
)

// Bytes is the value of a flag that takes a number of bytes: a whole number,
// and K, M or G after it for the powers of 1024.
type Bytes int64

// Set reads a number of bytes.
func (b *Bytes) Set(s string) error {
	digits, unit := s, int64(1)
	if n := len(s); n > 0 {
		switch s[n-1] {
		case 'k', 'K':
			digits, unit = s[:n-1], 1<<10
		case 'm', 'M':
			digits, unit = s[:n-1], 1<<20
		case 'g', 'G':
			digits, unit = s[:n-1], 1<<30
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n <= 0 || n > math.MaxInt64/unit || strings.HasPrefix(digits, "+") {
		return fmt.Errorf("expected a number of bytes above 0, as 65536 or 64K or 1M")
	}
	*b = Bytes(n * unit)
	return nil
}

// String returns the number, or nothing for the zero value, which stands for
// the default.
func (b *Bytes) String() string {
	if b == nil || *b == 0 {
		return ""
	}
	return strconv.FormatInt(int64(*b), 10)
}

// Type names the value in hub's usage.
func (*Bytes) Type() string { return "BYTES" }

// Count is the value of a flag that takes a whole number above 0.
type Count int64

// Set reads a number.
func (c *Count) Set(s string) error {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n <= 0 {
		return fmt.Errorf("expected a whole number above 0")
	}
	*c = Count(n)
	return nil
}

// String returns the number, or nothing for the zero value.
func (c *Count) String() string {
	if c == nil || *c == 0 {
		return ""
	}
	return strconv.FormatInt(int64(*c), 10)
}

// Type names the value in hub's usage.
func (*Count) Type() string { return "N" }

// Addrs is the value of a flag that takes an address and may be repeated.
type Addrs []transport.Addr

// Set adds an address.
func (l *Addrs) Set(s string) error {
	a, err := transport.Parse(s)
	if err != nil {
		return err
	}
	*l = append(*l, a)
	return nil
}

// String returns the addresses, apart by blanks.
func (l *Addrs) String() string {
	if l == nil {
		return ""
	}
	var f []string
	for _, a := range *l {
		f = append(f, a.String())
	}
	return strings.Join(f, " ")
}

// Type names the value in hub's usage.
func (*Addrs) Type() string { return "ADDR" }
