package hubfs_test

import (
	"go/build"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// module is this module's path, with the slash that ends it in import paths.
const module = "hubfs/"

// layers says which of our packages a package may import, in the order in
// which a byte meets them from below. A package that is not here may not
// exist; an import that is not here is a mistake, not a reason to add it.
var layers = map[string][]string{
	// Leaves import nothing of ours.
	"hub":                {},
	"pipes":              {},
	"tree":               {},
	"transport":          {},
	"internal/wire":      {},
	"internal/fdio":      {},
	"internal/flock":     {},
	"internal/graph":     {},
	"internal/lobby":     {},
	"internal/wholefile": {},

	// Who may do what. One process has the file in which that is kept.
	"access": {"tree", "internal/flock", "internal/wholefile"},

	// Commands and fields of the files of a tree, and handles of such files.
	"internal/lex":     {"tree"},
	"internal/handles": {"tree", "hub", "internal/lex"},

	// The second direction of a connection that carries 9P both ways.
	"internal/both": {"internal/wire"},

	// A Store in a folder.
	"hub/filestore": {"hub"},

	// The suite that every Store passes.
	"hub/storetest": {"hub"},

	// Parts never import one another.
	"p9":       {"tree", "internal/wire", "internal/fdio", "internal/both", "internal/lobby"},
	"client":   {"internal/wire", "internal/fdio", "internal/both"},
	"shellctl": {"pipes", "internal/fdio", "internal/stdio"},

	// What a process puts out, on a terminal or on pipes.
	"internal/stdio": {"pipes", "internal/fdio"},

	// One command on many nodes: sets of tasks, what nodes say to one another,
	// what runs tasks, who the nodes are and whether they live, the tasks of a
	// session on them, their input and output, the session as whoever asked for
	// it has it, and all that as files.
	"hostlist":           {},
	"taskfs/ranks":       {},
	"taskfs/frame":       {"pipes"},
	"taskfs/task":        {"pipes"},
	"taskfs/fence":       {"hostlist", "internal/lex"},
	"taskfs/cluster":     {"taskfs/frame", "taskfs/fence", "tree"},
	"taskfs/gather":      {"taskfs/ranks", "hub"},
	"taskfs/scatter":     {"taskfs/ranks", "hub", "pipes"},
	"taskfs/gang":        {"taskfs/cluster", "taskfs/frame", "taskfs/fence", "taskfs/gather", "taskfs/ranks", "taskfs/task", "pipes", "hostlist"},
	"taskfs/tasktest":    {"taskfs/task", "pipes"}, // tests only: tasks that are goroutines
	"taskfs/session":     {"taskfs/cluster", "taskfs/gang", "taskfs/gather", "taskfs/scatter", "taskfs/ranks", "taskfs/task", "tree", "hub", "hostlist", "internal/lex", "internal/handles"},
	"taskfs":             {"taskfs/session", "taskfs/cluster", "taskfs/frame", "taskfs/gang", "taskfs/gather", "tree", "hub", "internal/lex", "internal/handles"},
	"internal/supervise": {"taskfs/task", "pipes", "shellctl", "internal/stdio"},

	// A pipe between two streams, through a program or not: it knows no hub.
	"hubfs/internal/conduit": {"pipes", "shellctl"},

	// The one place where the parts meet.
	"hubfs": {"taskfs", "access", "hub", "hub/filestore", "tree", "pipes", "shellctl", "hubfs/internal/conduit", "internal/lex", "internal/handles", "internal/flock", "internal/graph"},

	// What a client sees, as files of this machine.
	"mount": {"client"},

	// The counters in Prometheus' words.
	"internal/metrics": {"hubfs"},

	// A connection of 9P, whoever has dialed, as the link of two nodes.
	"internal/uplink": {"client", "p9", "tree", "taskfs/frame"},

	// Programs: what hubfs(8) and hub serve both are, and the thin mains.
	"internal/daemon": {"access", "transport", "p9", "client", "hubfs", "hub", "tree", "internal/flock", "internal/metrics", "internal/lobby", "internal/fdio",
		"taskfs", "taskfs/gang", "taskfs/cluster", "taskfs/fence", "taskfs/frame", "internal/supervise", "internal/uplink"},
	"internal/hubfscli": {"internal/daemon", "transport", "client", "mount"},
	"cmd/hubfs":         {"internal/hubfscli", "internal/supervise"},
	"cmd/hub":           {"internal/daemon", "internal/hubfscli", "internal/supervise", "hostlist", "transport", "client", "shellctl", "pipes", "internal/fdio", "internal/flock", "internal/graph", "internal/wholefile", "mount"},

	// Tests only: a server in the test's own process, the server under random
	// load, and the programs, driven as a user drives them.
	"cmd/hub/internal/servertest": {"cmd/hub/internal/server", "client", "hubfs", "p9", "transport"},
	"cmd/hub/internal/jobtest":    {"hub", "hubfs", "internal/handles", "internal/lex", "p9", "taskfs", "tree"},
	"internal/soak":               {},
	"e2e":                         {},
}

// thirdParty says which package may import which foreign module, and why we
// have it at all. One package imports a module, save where the reason says.
var thirdParty = map[string]struct {
	by  []string
	why string
}{
	"github.com/Harvey-OS/ninep": {[]string{"internal/wire"},
		"the codec and types of 9P2000, behind a check of every length"},
	"github.com/creack/pty": {[]string{"shellctl"},
		"opens pseudo terminals on every Unix"},
	"github.com/google/shlex": {[]string{"internal/lex"},
		"splits the lines of ctl as a shell does"},
	"github.com/hanwen/go-fuse/v2": {[]string{"mount"},
		"the protocol of FUSE: what the kernel asks of a file system in a process"},
	"github.com/prometheus/client_model": {[]string{"internal/metrics"},
		"Prometheus' own data model"},
	"github.com/prometheus/common": {[]string{"internal/metrics"},
		"Prometheus' text format, with the encoder that its client library writes with"},
	"github.com/spf13/cobra": {[]string{"cmd/hub"},
		"commands, help and completion of the client"},
	"golang.org/x/term": {[]string{"cmd/hub"},
		"raw mode of the user's terminal"},
	"golang.org/x/sys": {[]string{"shellctl", "internal/supervise", "transport", "cmd/hub"},
		"the system calls that the standard library leaves out: the foreground " +
			"process group of a terminal (shellctl), who adopts orphans, and a clock that " +
			"counts sleep (internal/supervise), a peer's credentials (transport), " +
			"the modes of a terminal whose output stays as it is, and the size of a pipe (cmd/hub)"},
}

// testOnly holds what tests may import besides.
var testOnly = map[string]string{
	"9fans.net/go":                        "a 9P client and decoder by other hands, to judge ours",
	"github.com/nats-io/nats-server/v2":   "fans out as hubs do: the peer in a benchmark",
	"github.com/nats-io/nats.go":          "its client",
	"github.com/prometheus/client_golang": "the rules of Prometheus for names and texts of metrics",
	"github.com/rogpeppe/go-internal":     "testscript: programs tested as scripts",
	"github.com/creack/pty":               "a real terminal in front of the programs",
	"golang.org/x/sys":                    "reads a terminal's modes",
	"golang.org/x/term":                   "reads a terminal's modes",
}

// TestImportsFollowTheLayers fails on an import that the tables above do not
// allow.
func TestImportsFollowTheLayers(t *testing.T) {
	seen := map[string]bool{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if !d.IsDir() {
			return nil
		}
		if name := d.Name(); name == "testdata" || name != "." && strings.HasPrefix(name, ".") {
			return fs.SkipDir
		}
		dir := filepath.ToSlash(path)
		// Every file counts, whatever system it is for.
		ctx := build.Default
		ctx.UseAllFiles = true
		pkg, err := ctx.ImportDir(path, 0)
		if _, none := err.(*build.NoGoError); none {
			return nil
		}
		if _, mixed := err.(*build.MultiplePackageError); err != nil && !mixed {
			return err
		}
		if dir == "." {
			return nil
		}
		seen[layer(dir)] = true
		checkImports(t, dir, pkg)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name := range layers {
		if !seen[name] {
			t.Errorf("no package %s: take it out of the table", name)
		}
	}
}

// layer returns the row of layers that holds for the package in dir: its own,
// or that of the folder it is internal to.
func layer(dir string) string {
	if _, ok := layers[dir]; ok {
		return dir
	}
	if parent, _, ok := strings.Cut(dir, "/internal/"); ok {
		return parent
	}
	return dir
}

func checkImports(t *testing.T, dir string, pkg *build.Package) {
	row := layer(dir)
	allowed, ok := layers[row]
	if !ok {
		t.Errorf("package %s has no row in the table of layers", dir)
		return
	}
	for _, imp := range pkg.Imports {
		switch {
		case strings.HasPrefix(imp, module):
			name := strings.TrimPrefix(imp, module)
			if layer(name) != row && !slices.Contains(allowed, name) {
				t.Errorf("%s imports %s, but may import only %v", dir, name, allowed)
			}
		case foreign(imp):
			mod := moduleOf(imp)
			if d, ok := thirdParty[mod]; !ok {
				if row != "e2e" || testOnly[mod] == "" {
					t.Errorf("%s imports %s, which is in no table", dir, imp)
				}
			} else if !slices.Contains(d.by, row) && row != "e2e" {
				t.Errorf("%s imports %s, which only %v may: %s", dir, imp, d.by, d.why)
			}
		}
	}
	for _, imp := range slices.Concat(pkg.TestImports, pkg.XTestImports) {
		if !foreign(imp) {
			continue
		}
		mod := moduleOf(imp)
		if d, ok := thirdParty[mod]; ok && slices.Contains(d.by, row) {
			continue
		}
		if testOnly[mod] == "" {
			t.Errorf("a test of %s imports %s, which is in no table", dir, imp)
		}
	}
}

// foreign reports whether an import path belongs to neither us nor the
// standard library: its first element has a dot.
func foreign(imp string) bool {
	first, _, _ := strings.Cut(imp, "/")
	return strings.Contains(first, ".")
}

// moduleOf returns the module of a foreign import path that the tables know,
// or the path itself.
func moduleOf(imp string) string {
	for _, known := range [][]string{slices.Collect(maps.Keys(thirdParty)), slices.Collect(maps.Keys(testOnly))} {
		for _, m := range known {
			if imp == m || strings.HasPrefix(imp, m+"/") {
				return m
			}
		}
	}
	return imp
}

// TestEveryDependencyIsInTheTable fails on a direct requirement of go.mod that
// no table knows, and on a row of a table that go.mod does not require.
func TestEveryDependencyIsInTheTable(t *testing.T) {
	data, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	required := map[string]bool{}
	for line := range strings.Lines(string(data)) {
		f := strings.Fields(strings.TrimPrefix(strings.TrimSpace(line), "require "))
		if len(f) < 2 || !strings.HasPrefix(f[1], "v") || strings.Contains(line, "// indirect") {
			continue
		}
		required[f[0]] = true
		if _, ok := thirdParty[f[0]]; !ok && testOnly[f[0]] == "" {
			t.Errorf("go.mod requires %s, which is in no table", f[0])
		}
	}
	for m := range thirdParty {
		if !required[m] {
			t.Errorf("the table has %s, which go.mod does not require", m)
		}
	}
	for m := range testOnly {
		if !required[m] {
			t.Errorf("the table has %s, which go.mod does not require", m)
		}
	}
}
