package access

// Covers reports whether one of the grant's patterns names the thing at path;
// "" is the server as a whole.
func (g *Grant) Covers(path string) bool {
	for _, p := range g.Patterns {
		if match(p, path) {
			return true
		}
	}
	return false
}

// IsLiteral reports whether a pattern names one path alone, as Literal writes
// it, and returns that.
func IsLiteral(pattern string) (path string, ok bool) {
	var b []byte
	for i := 0; i < len(pattern); i++ {
		if pattern[i] == '\\' && i+1 < len(pattern) {
			i++
		}
		b = append(b, pattern[i])
	}
	path = string(b)
	return path, Literal(path) == pattern
}
