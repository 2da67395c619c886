//go:build linux

package mount_test

import (
	"context"
	"log/slog"
	"net"
	"strings"
	"syscall"
	"testing"

	"hubfs/client"
	"hubfs/mount"
	"hubfs/p9"
	"hubfs/tree"
)

// A ring is a folder that holds itself, and a list of names that cannot be.
type ring struct{ path uint64 }

func (r ring) Stat() tree.Info {
	return tree.Info{Name: "ring", Path: r.path, Mode: tree.ModeDir | 0o777, UID: "nobody knows", GID: "4294967296", Length: -5}
}

func (r ring) Lookup(_ *tree.Caller, name string) (tree.Node, error) {
	if name == "ring" {
		return r, nil
	}
	return nil, tree.ErrNotExist
}

func (r ring) List(*tree.Caller) ([]tree.Info, error) {
	var infos []tree.Info
	for _, name := range []string{"a/b", "", ".", "..", strings.Repeat("n", 300), "ring"} {
		infos = append(infos, tree.Info{Name: name, Path: ^uint64(0), Mode: tree.ModeDir | 0o777})
	}
	return infos, nil
}

// TestHostileServer: what a server makes up harms neither the kernel nor us.
func TestHostileServer(t *testing.T) {
	needFUSE(t)
	for _, path := range []uint64{1, 7, ^uint64(0)} {
		here, there := net.Pipe()
		srv := &p9.Server{Root: ring{path}}
		go srv.ServeConn(context.Background(), there, p9.Peer{User: "u", Addr: "here"}) // ends with the connection
		c, err := client.New(t.Context(), here, client.Options{Ordered: true})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		w := &world{tb: t, dir: t.TempDir()}
		m, err := mount.New(c, w.dir, mount.Options{Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		const deep = "ring/ring/ring/ring"
		if st := w.stat(deep); st.Uid != 65534 || st.Gid != 65534 || st.Size != 0 || st.Mode&syscall.S_IFMT != syscall.S_IFDIR {
			t.Errorf("%+v", st)
		}
		w.start("ls", w.at(deep)).says("ring\n")
		w.start("sh", "-c", `cd "$0" && cd .. && ls && /bin/pwd`, w.at(deep)).says("ring\n" + w.at("ring/ring/ring") + "\n")
	}
}

// TestManyAtOnce: processes that make, look at, rename and remove what the others
// do too meet no error but those.
func TestManyAtOnce(t *testing.T) {
	w := newWorld(t)
	const script = `
import os, random, sys
d, seed = sys.argv[1], int(sys.argv[2])
r = random.Random(seed)
def name(): return d + "/" + r.choice(["a", "b", "d", "d/a", "d/b"])
for i in range(150):
    try:
        what = r.randrange(7)
        if what == 0:
            with open(name(), "w") as f: f.write("x" * r.randrange(10000))
        elif what == 1:
            fd = os.open(name(), os.O_RDONLY | os.O_CREAT)
            os.fstat(fd)
            os.close(fd)
        elif what == 2: os.rename(name(), name())
        elif what == 3: os.unlink(name())
        elif what == 4: os.listdir(r.choice([d, d + "/d"]))
        elif what == 5: os.stat(name())
        elif what == 6:
            n = d + "/d"
            r.choice([os.mkdir, os.rmdir])(n)
    except (FileNotFoundError, FileExistsError, IsADirectoryError, NotADirectoryError) as e: pass
    except OSError as e:
        if e.errno not in (39, 95, 16, 22): raise # not empty; to another folder; busy
print("ok")
`
	var all []*program
	for seed := range 6 {
		all = append(all, w.start("python3", "-c", script, w.dir, string(rune('0'+seed))))
	}
	for _, p := range all {
		p.says("ok\n")
	}
	w.stat("ctl")
}
