package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"hubfs/hubfs"
)

// A serverMetric is a number of the server.
type serverMetric struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(hubfs.Stats) float64
}

// A hubMetric is a number of each hub. Those of several hubs can be added up.
type hubMetric struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(hubfs.HubStats) float64
}

func ofServer(name, help string, kind prometheus.ValueType, value func(hubfs.Stats) float64) serverMetric {
	return serverMetric{prometheus.NewDesc("hubfs_"+name, help, nil, nil), kind, value}
}

func ofHub(name, help string, kind prometheus.ValueType, value func(hubfs.HubStats) float64) hubMetric {
	return hubMetric{prometheus.NewDesc("hubfs_hub_"+name, help, []string{"hub"}, nil), kind, value}
}

// A collector is what the metrics are of a server whose counters it can ask for.
type collector struct {
	snapshot func() hubfs.Stats
	server   []serverMetric
	hubs     []hubMetric
}

func counters(snapshot func() hubfs.Stats) *collector {
	const gauge, counter = prometheus.GaugeValue, prometheus.CounterValue
	return &collector{
		snapshot: snapshot,
		server: []serverMetric{
			ofServer("start_time_seconds", "When the server started, in seconds since 1970.", gauge,
				func(s hubfs.Stats) float64 { return float64(s.Started.UnixMilli()) / 1000 }),
			ofServer("connections", "Connections being served.", gauge,
				func(s hubfs.Stats) float64 { return float64(s.Conns) }),
			ofServer("fids", "Fids of all connections.", gauge,
				func(s hubfs.Stats) float64 { return float64(s.Fids) }),
			ofServer("waiting_requests", "Requests without an answer yet.", gauge,
				func(s hubfs.Stats) float64 { return float64(s.Waiting) }),
			ofServer("shells", "Shells, with those that have ended.", gauge,
				func(s hubfs.Stats) float64 { return float64(s.Shells) }),
			ofServer("hubs", "Hubs.", gauge,
				func(s hubfs.Stats) float64 { return float64(len(s.Hubs)) }),
			ofServer("retained_bytes", "Bytes that all hubs retain in memory.", gauge,
				func(s hubfs.Stats) float64 { return float64(s.Retained) }),
			ofServer("room_bytes", "Bytes that all hubs may retain in memory besides.", gauge,
				func(s hubfs.Stats) float64 { return float64(s.Room) }),
		},
		hubs: []hubMetric{
			ofHub("in_bytes_total", "Bytes written to the hub.", counter,
				func(h hubfs.HubStats) float64 { return float64(h.In) }),
			ofHub("out_bytes_total", "Bytes handed to readers, to each of them.", counter,
				func(h hubfs.HubStats) float64 { return float64(h.Out) }),
			ofHub("writes_total", "Writes that brought bytes.", counter,
				func(h hubfs.HubStats) float64 { return float64(h.Writes) }),
			ofHub("reads_total", "Reads that gave bytes.", counter,
				func(h hubfs.HubStats) float64 { return float64(h.Reads) }),
			ofHub("lost_bytes_total", "Bytes that readers were overtaken by.", counter,
				func(h hubfs.HubStats) float64 { return float64(h.Lost) }),
			ofHub("retained_bytes", "Bytes that can still be read.", gauge,
				func(h hubfs.HubStats) float64 { return float64(h.Retained) }),
			ofHub("disk_bytes", "Bytes of the hub on disk.", gauge,
				func(h hubfs.HubStats) float64 { return float64(h.OnDisk) }),
			ofHub("readers", "Open readers.", gauge,
				func(h hubfs.HubStats) float64 { return float64(h.Readers) }),
			ofHub("writers", "Open writers.", gauge,
				func(h hubfs.HubStats) float64 { return float64(h.Writers) }),
			ofHub("blocked_writers", "Writers that wait.", gauge,
				func(h hubfs.HubStats) float64 { return float64(h.Blocked) }),
			ofHub("held_seconds", "How long a writer has been waiting for readers.", gauge,
				func(h hubfs.HubStats) float64 { return h.Held.Seconds() }),
		},
	}
}

// Describe is prometheus.Collector's.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, m := range c.server {
		ch <- m.desc
	}
	for _, m := range c.hubs {
		ch <- m.desc
	}
}

// Collect is prometheus.Collector's.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	s := c.snapshot()
	for _, m := range c.server {
		ch <- prometheus.MustNewConstMetric(m.desc, m.kind, m.value(s))
	}
	own := min(len(s.Hubs), MaxHubs)
	for _, m := range c.hubs {
		for _, h := range s.Hubs[:own] {
			ch <- prometheus.MustNewConstMetric(m.desc, m.kind, m.value(h), h.Name)
		}
		if rest := s.Hubs[own:]; len(rest) > 0 {
			sum := 0.0
			for _, h := range rest {
				sum += m.value(h)
			}
			ch <- prometheus.MustNewConstMetric(m.desc, m.kind, sum, "")
		}
	}
}
