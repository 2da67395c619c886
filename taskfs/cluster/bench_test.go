package cluster

import (
	"context"
	"fmt"
	"net"
	"runtime"
	"testing"
	"time"

	"hubfs/client"
	"hubfs/p9"
	"hubfs/taskfs/frame"
	"hubfs/tree"
)

// BenchmarkNodes makes trees of many nodes in this process, and says what each
// costs: time until all are there, and memory when nothing happens.
func BenchmarkNodes(b *testing.B) {
	for _, leaves := range []int{1000, 10_000} {
		b.Run(fmt.Sprint(leaves), func(b *testing.B) {
			for b.Loop() {
				before := memory()
				begun := time.Now()
				nodes := grow(b, leaves)
				b.ReportMetric(float64(time.Since(begun).Nanoseconds())/float64(len(nodes)), "join-ns/node")
				b.ReportMetric(float64(memory()-before)/float64(len(nodes)), "bytes/node")
				begun = time.Now()
				rows := nodes[0].Rows(b.Context())
				if len(rows) != len(nodes) {
					b.Fatalf("%d rows of %d nodes", len(rows), len(nodes))
				}
				b.ReportMetric(float64(time.Since(begun).Nanoseconds())/float64(len(nodes)), "rows-ns/node")
				for _, n := range nodes {
					n.end()
				}
			}
		})
	}
}

func memory() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

// grow makes a tree of fan-out 16.
func grow(b *testing.B, leaves int) []*Node {
	make := func(name string, census func() []Count) *Node {
		i := Info{Name: name, OS: "linux", Arch: "amd64", Slots: 1}
		return New(Options{Info: i, Load: func() Load { return Load{Slots: 1, Free: 1, Census: census()} }})
	}
	var nodes []*Node
	var down func(name string, leaves int) *Node
	down = func(name string, leaves int) *Node {
		var n *Node
		n = make(name, func() []Count {
			sum := 1
			for _, c := range n.Children() {
				sum += c.Load().Census[0].Nodes
			}
			return []Count{{"linux", "amd64", sum}}
		})
		nodes = append(nodes, n)
		for i := 0; leaves > 1 && i < 16; i++ {
			part := leaves * (i + 1) / 16
			part -= leaves * i / 16
			if part == 0 {
				continue
			}
			low := down(fmt.Sprint("n", i), part)
			x, y := frame.Pipe(0)
			go n.Below(context.Background(), x, "") // until the node ends
			go low.Above(context.Background(), y)   // until the node ends
		}
		return n
	}
	top := down("top", leaves)
	for {
		rows := 0
		for _, n := range nodes {
			rows += len(n.Children())
		}
		if c := top.Children(); rows == len(nodes)-1 && len(c) > 0 {
			sum := 1
			for _, c := range c {
				sum += c.Load().Census[0].Nodes
			}
			if sum == len(nodes) {
				return nodes
			}
		}
		runtime.Gosched()
	}
}

// BenchmarkUplink carries output up and input down over the file that a link is,
// served over a connection of 9P on this machine.
func BenchmarkUplink(b *testing.B) {
	for _, size := range []int{100, 64 << 10} {
		for _, way := range []string{"up", "down"} {
			b.Run(fmt.Sprintf("%s/%d", way, size), func(b *testing.B) {
				ln, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					b.Skip(err)
				}
				defer ln.Close()
				var low frame.Link
				opened := make(chan bool)
				s := &p9.Server{Root: opener(func(c *tree.Caller) tree.Handle {
					h, l := NewUplink(c)
					low = l
					close(opened)
					return h
				})}
				go func() { // until the client hangs up
					if conn, err := ln.Accept(); err == nil {
						s.ServeConn(context.Background(), conn, p9.Peer{User: "us", Addr: "here"})
					}
				}()
				conn, err := net.Dial("tcp", ln.Addr().String())
				if err != nil {
					b.Fatal(err)
				}
				c, err := client.New(b.Context(), conn, client.Options{Uname: "us", Ordered: true})
				if err != nil {
					b.Fatal(err)
				}
				defer c.Close()
				f, err := c.Open(b.Context(), "uplink", client.ORDWR)
				if err != nil {
					b.Fatal(err)
				}
				<-opened
				from, to := low, frame.NewStream(f, "there")
				kind := frame.Output
				if way == "down" {
					from, to, kind = to, from, frame.Input
				}
				body := make([]byte, size)
				b.SetBytes(int64(size))
				b.ReportAllocs()
				b.ResetTimer()
				go func() { // until all is sent or the link ends
					for range b.N {
						from.Send(context.Background(), frame.Frame{Kind: kind, Session: 1, Body: body})
					}
				}()
				for range b.N {
					if _, err := to.Recv(b.Context()); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// An opener is a tree with one file, uplink.
type opener func(c *tree.Caller) tree.Handle

func (o opener) Stat() tree.Info { return served{}.Stat() }

func (o opener) Lookup(*tree.Caller, string) (tree.Node, error) { return openerFile(o), nil }

func (o opener) List(*tree.Caller) ([]tree.Info, error) { return nil, nil }

type openerFile opener

func (o openerFile) Stat() tree.Info { return servedFile{}.Stat() }

func (o openerFile) Open(c *tree.Caller, mode uint8) (tree.Handle, error) { return o(c), nil }
