package hostlist

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// Compare orders names as people do: node2 before node10.
func Compare(a, b string) int {
	x, y := a, b
	for x != "" && y != "" {
		i, j := digits(x), digits(y)
		if i == 0 || j == 0 {
			if x[0] != y[0] {
				return cmp.Compare(x[0], y[0])
			}
			x, y = x[1:], y[1:]
			continue
		}
		m, n := strings.TrimLeft(x[:i], "0"), strings.TrimLeft(y[:j], "0")
		if c := cmp.Or(cmp.Compare(len(m), len(n)), cmp.Compare(m, n), cmp.Compare(i, j)); c != 0 {
			return c
		}
		x, y = x[i:], y[j:]
	}
	return cmp.Compare(len(x), len(y))
}

// digits returns how many digits s begins with.
func digits(s string) int {
	i := 0
	for i < len(s) && '0' <= s[i] && s[i] <= '9' {
		i++
	}
	return i
}

// Fold returns the list that stands for names, each once, in the order of
// Compare: node[1-16,20]. Expand gives them back, if they are names that Expand
// allows; others are written as they are.
func Fold(names []string) string {
	names = slices.Clone(names)
	slices.SortFunc(names, Compare)
	names = slices.Compact(names)

	// Names that differ in their numbers alone, by what they share.
	type kind struct {
		shape   string
		numbers int
	}
	groups := map[kind][][]string{}
	var order []kind
	for _, name := range names {
		if name == "" {
			continue
		}
		shape, numbers := cut(name)
		k := kind{shape, len(numbers)}
		if groups[k] == nil {
			order = append(order, k)
		}
		groups[k] = append(groups[k], numbers)
	}
	var b strings.Builder
	for _, k := range order {
		rows := groups[k]
		for i := k.numbers - 1; i >= 0; i-- {
			rows = foldColumn(rows, i)
		}
		for _, row := range rows {
			if b.Len() > 0 {
				b.WriteByte(',')
			}
			write(&b, k.shape, row)
		}
	}
	return b.String()
}

// hole stands for a number in the shape of a name.
const hole = '\x00'

// cut takes the numbers out of a name. Those that no range can hold stay, and so
// do all of a name that Expand would read as something else.
func cut(name string) (shape string, numbers []string) {
	if strings.ContainsAny(name, "\x00[],") {
		return name, nil
	}
	var b strings.Builder
	for rest := name; rest != ""; {
		n := digits(rest)
		if n == 0 || n > maxDigits {
			n = max(n, 1)
			b.WriteString(rest[:n])
		} else {
			b.WriteByte(hole)
			numbers = append(numbers, rest[:n])
		}
		rest = rest[n:]
	}
	return b.String(), numbers
}

// write is the inverse of cut. Folded numbers get brackets.
func write(b *strings.Builder, shape string, row []string) {
	for i := range len(shape) {
		switch {
		case shape[i] != hole || len(row) == 0:
			b.WriteByte(shape[i])
			continue
		case digits(row[0]) < len(row[0]):
			b.WriteString("[" + row[0] + "]")
		default:
			b.WriteString(row[0])
		}
		row = row[1:]
	}
}

// foldColumn makes one row of those that differ in column i alone. Columns behind
// i are folded already, i is not.
func foldColumn(rows [][]string, i int) [][]string {
	numbers := map[string][]string{}
	var out [][]string // the first row of each key
	var keys []string
	for _, row := range rows {
		n := row[i]
		row[i] = ""
		key := strings.Join(row, string(hole))
		if numbers[key] == nil {
			out = append(out, row)
			keys = append(keys, key)
		}
		numbers[key] = append(numbers[key], n)
	}
	for k, row := range out {
		row[i] = foldNumbers(numbers[keys[k]])
	}
	return out
}

// foldNumbers writes numbers as the inside of brackets, or one of them alone.
func foldNumbers(numbers []string) string {
	// By length first: so 1 2 01 02 are two runs, and 9 10 are one.
	slices.SortFunc(numbers, func(a, b string) int {
		return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
	})
	var b strings.Builder
	for i := 0; i < len(numbers); {
		first := numbers[i]
		n, _ := strconv.ParseInt(first, 10, 64)
		j := i + 1
		for ; j < len(numbers); j++ {
			n++
			next := strconv.FormatInt(n, 10)
			if padded(first) && len(next) < len(first) {
				next = strings.Repeat("0", len(first)-len(next)) + next
			}
			if numbers[j] != next {
				break
			}
		}
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		b.WriteString(first)
		if j > i+1 {
			b.WriteByte('-')
			b.WriteString(numbers[j-1])
		}
		i = j
	}
	return b.String()
}
