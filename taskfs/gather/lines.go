package gather

import "bytes"

// maxLine is how many bytes are held of a line that is not complete.
const maxLine = 64 << 10

// unfinished returns how many bytes at the end of p are of a line that is not
// complete, if begun bytes of one are before p. It follows from what the task has
// said alone, however that was cut: tasks that have said the same are alike.
func unfinished(begun int32, p []byte) int32 {
	if i := bytes.LastIndexByte(p, '\n'); i >= 0 {
		begun, p = 0, p[i+1:]
	}
	return int32((int(begun) + len(p)) % maxLine)
}

// label appends lines to dst, each with a label before it and a newline.
func label(dst []byte, label string, lines []byte) []byte {
	for line := range bytes.Lines(lines) {
		dst = append(dst, label...)
		dst = append(dst, line...)
	}
	if len(lines) > 0 && lines[len(lines)-1] != '\n' {
		dst = append(dst, '\n')
	}
	return dst
}
