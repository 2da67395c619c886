package e2e

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// A transcript is one of 2010, written anew (testdata/taskfs): what its author
// typed, and what came of it. Lines are
//
//	# comment
//	% node NAME [below NAME]   a hubfs that runs in a folder of its name
//	$ command                  of a shell that stands where the root is mounted
//	>>> expression             of Python
//
// and what the last of the two latter prints; "error: TEXT" is that it fails. Of
// what is printed the folders of nodes and the name of the host are not those of
// this run, and of a session's status there is no number of opens, and nothing
// that came later.
type transcript struct {
	name  string
	steps []step
}

type step struct {
	line int
	kind byte // of "$", ">" and "%"
	text string
	want string
}

func readTranscript(t *testing.T, file string) transcript {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	tr := transcript{name: strings.TrimSuffix(filepath.Base(file), ".txt")}
	text := strings.ReplaceAll(string(data), "ARCH", runtime.GOARCH)
	for i, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		kind, rest, _ := strings.Cut(line, " ")
		switch kind {
		case "#":
		case "%", "$", ">>>":
			tr.steps = append(tr.steps, step{line: i + 1, kind: kind[0], text: rest})
		default:
			if len(tr.steps) == 0 {
				t.Fatalf("%s:%d: output of nothing", file, i+1)
			}
			last := &tr.steps[len(tr.steps)-1]
			last.want += line + "\n"
		}
	}
	return tr
}

// A player has the tree, and does what one can do with it.
type player interface {
	sh(command string) (string, error)
	python(expression string) (string, error)
	end()
}

// TestTranscriptsOf2010 replays them with a 9P client by others.
func TestTranscriptsOf2010(t *testing.T) {
	eachTranscript(t, func(t *testing.T, n *nodes) player { return newRawPlayer(n.w.raw("root")) })
}

// eachTranscript replays each transcript with the player that with makes when the
// root is there.
func eachTranscript(t *testing.T, with func(t *testing.T, n *nodes) player) {
	if runtime.GOOS != "linux" {
		t.Skip("the transcripts say Linux")
	}
	files, err := filepath.Glob("testdata/taskfs/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	for _, file := range files {
		tr := readTranscript(t, file)
		t.Run(tr.name, func(t *testing.T) { tr.play(t, with) })
	}
}

func (tr transcript) play(t *testing.T, with func(t *testing.T, n *nodes) player) {
	n := newNodes(t)
	var p player
	for _, s := range tr.steps {
		var got string
		var err error
		switch s.kind {
		case '%':
			words := strings.Fields(s.text)
			switch len(words) {
			case 2:
				n.start(words[1], "")
				p = with(t, n)
				defer p.end()
			case 4:
				n.start(words[1], words[3])
			default:
				t.Fatalf("line %d: expected %% node NAME [below NAME]", s.line)
			}
			continue
		case '$':
			got, err = p.sh(s.text)
		case '>':
			got, err = p.python(s.text)
		}
		got = n.plain(got)
		want := s.want
		if err != nil {
			got += fmt.Sprintf("error: %v\n", err)
			if strings.HasPrefix(err.Error(), "failed: ") && strings.HasPrefix(want, "error: ") {
				want = got // which error it is has been lost on the way
			}
		}
		if got != want {
			t.Fatalf("line %d: %s\ngot:\n%swant:\n%s", s.line, s.text, got, want)
		}
	}
}

// task is a line of a session's status: the five fields of 2010, and ours.
var task = regexp.MustCompile(`(?m)^(cmd/\d+) \d+ (\w+ \S+ (?:'[^']*'|\S+))(?: .*)?$`)

// plain is output with what is not that of this run.
func (n *nodes) plain(s string) string {
	s = strings.ReplaceAll(s, n.dir, "")
	if host, err := os.Hostname(); err == nil {
		s = strings.ReplaceAll(s, host, "HOST")
	}
	s = task.ReplaceAllString(s, "$1 # $2")
	if s != "" && !strings.HasSuffix(s, "\n") {
		s += "\n"
	}
	return s
}

// A rawPlayer does with messages of 9P what a shell and Python do with a mounted
// tree.
type rawPlayer struct {
	*rawTree
	cwd   string
	files map[string]*rawFile // open ones, by their number or the name of a variable
}

func newRawPlayer(c *raw) *rawPlayer {
	return &rawPlayer{rawTree: newRawTree(c), cwd: "/", files: map[string]*rawFile{}}
}

// end has nothing to do: the test hangs up.
func (p *rawPlayer) end() {}

// at is an absolute path.
func (p *rawPlayer) at(name string) string {
	if path.IsAbs(name) {
		return name
	}
	return path.Join(p.cwd, name)
}

// sh runs one command.
func (p *rawPlayer) sh(command string) (out string, err error) {
	command, sorted := strings.CutSuffix(command, " | sort")
	word, rest, _ := strings.Cut(command, " ")
	switch word {
	case "cd":
		p.cwd = p.at(rest)
	case "exec": // 3<>FILE or 3>&-
		fd, what := rest[:1], rest[1:]
		if what == ">&-" {
			p.files[fd].close()
			delete(p.files, fd)
			break
		}
		p.files[fd], err = p.open(p.at(strings.TrimPrefix(what, "<>")), openRDWR)
	case "cat":
		if fd, ok := strings.CutPrefix(rest, "<&"); ok {
			out, err = p.files[fd].readAll()
			break
		}
		out, err = p.cat(p.at(rest))
	case "echo":
		text, to, _ := strings.Cut(rest, " >")
		if fd, ok := strings.CutPrefix(to, "&"); ok {
			err = p.files[fd].write(text + "\n")
			break
		}
		var f *rawFile
		if f, err = p.open(p.at(strings.TrimSpace(to)), openWrite|openTrunc); err == nil {
			err = f.write(text + "\n")
			f.close()
		}
	case "tree":
		name, dirs := strings.CutPrefix(rest, "-d ")
		out, err = drawTree(p, p.at(name), name, dirs)
	case "ls":
		out, err = listLong(p, p.at("."))
	default:
		err = fmt.Errorf("no command %q is known here", word)
	}
	if sorted {
		lines := slices.Sorted(strings.Lines(out))
		out = strings.Join(lines, "")
	}
	return out, err
}

// Forms of expressions.
var (
	pyOpen  = regexp.MustCompile(`^(\w+) = open\("([^"]+)", "(r\+|r|w)b", 0\)$`)
	pyRead  = regexp.MustCompile(`^print\((\w+)\.read\(\)\.decode\(\)(, end="")?\)$`)
	pySort  = regexp.MustCompile(`^print\(""\.join\(sorted\((\w+)\.read\(\)\.decode\(\)\.splitlines\(True\)\)\), end=""\)$`)
	pyWrite = regexp.MustCompile(`^(\w+)\.write\(b("[^"]*")(?: \* (\d+))?\)$`)
	pyClose = regexp.MustCompile(`^(\w+)\.close\(\)$`)
)

// python evaluates one expression.
func (p *rawPlayer) python(expression string) (out string, err error) {
	match := func(re *regexp.Regexp) []string { return re.FindStringSubmatch(expression) }
	if m := match(pyOpen); m != nil {
		mode := map[string]uint8{"r": openRead, "r+": openRDWR, "w": openWrite | openTrunc}[m[3]]
		p.files[m[1]], err = p.open(p.at(m[2]), mode)
	} else if m := match(pyRead); m != nil {
		if out, err = p.files[m[1]].readAll(); m[2] == "" {
			out += "\n"
		}
	} else if m := match(pySort); m != nil {
		out, err = p.files[m[1]].readAll()
		out = strings.Join(slices.Sorted(strings.Lines(out)), "")
	} else if m := match(pyWrite); m != nil {
		var text string
		if text, err = strconv.Unquote(m[2]); err == nil {
			n, _ := strconv.Atoi(m[3])
			err = p.files[m[1]].write(strings.Repeat(text, max(n, 1)))
		}
	} else if m := match(pyClose); m != nil {
		p.files[m[1]].close()
		delete(p.files, m[1])
	} else {
		err = fmt.Errorf("no such expression is known here: %s", expression)
	}
	return out, err
}

// A lister lists directories.
type lister interface {
	list(dir string) ([]entry, error)
}

type entry struct {
	name string
	mode os.FileMode
}

// drawTree draws what tree(1) does, without colours and the last line.
func drawTree(l lister, dir, name string, dirsOnly bool) (string, error) {
	var b strings.Builder
	b.WriteString(name + "\n")
	var draw func(dir, indent string) error
	draw = func(dir, indent string) error {
		entries, err := l.list(dir)
		if err != nil {
			return err
		}
		if dirsOnly {
			entries = slices.DeleteFunc(entries, func(e entry) bool { return !e.mode.IsDir() })
		}
		for i, e := range entries {
			branch, below := "|-- ", "|   "
			if i == len(entries)-1 {
				branch, below = "`-- ", "    "
			}
			b.WriteString(indent + branch + e.name + "\n")
			if e.mode.IsDir() {
				if err := draw(path.Join(dir, e.name), indent+below); err != nil {
					return err
				}
			}
		}
		return nil
	}
	err := draw(dir, "")
	return b.String(), err
}

// listLong lists modes and names, of what else ls -l does.
func listLong(l lister, dir string) (string, error) {
	entries, err := l.list(dir)
	var b strings.Builder
	for _, e := range entries {
		fmt.Fprintf(&b, "%v %s\n", e.mode, e.name)
	}
	return b.String(), err
}
