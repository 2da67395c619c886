package metrics

import (
	dto "github.com/prometheus/client_model/go"

	"hubfs/hubfs"
)

const (
	gauge   = dto.MetricType_GAUGE
	counter = dto.MetricType_COUNTER
)

// A metric is a number of a T.
type metric[T any] struct {
	name, help string
	kind       dto.MetricType
	value      func(T) float64
}

// ofServer are the numbers of a server.
var ofServer = []metric[hubfs.Stats]{
	{"hubfs_start_time_seconds", "When the server started, in seconds since 1970.", gauge,
		func(s hubfs.Stats) float64 { return float64(s.Started.UnixMilli()) / 1000 }},
	{"hubfs_connections", "Connections being served.", gauge,
		func(s hubfs.Stats) float64 { return float64(s.Conns) }},
	{"hubfs_fids", "Fids of all connections.", gauge,
		func(s hubfs.Stats) float64 { return float64(s.Fids) }},
	{"hubfs_waiting_requests", "Requests without an answer yet.", gauge,
		func(s hubfs.Stats) float64 { return float64(s.Waiting) }},
	{"hubfs_goroutines", "Goroutines of the server.", gauge,
		func(s hubfs.Stats) float64 { return float64(s.Goroutines) }},
	{"hubfs_shells", "Shells, with those that have ended.", gauge,
		func(s hubfs.Stats) float64 { return float64(s.Shells) }},
	{"hubfs_hubs", "Hubs.", gauge,
		func(s hubfs.Stats) float64 { return float64(len(s.Hubs)) }},
	{"hubfs_retained_bytes", "Bytes that all hubs retain in memory.", gauge,
		func(s hubfs.Stats) float64 { return float64(s.Retained) }},
	{"hubfs_room_bytes", "Bytes that all hubs may retain in memory besides.", gauge,
		func(s hubfs.Stats) float64 { return float64(s.Room) }},
}

// ofHub are those of each hub. Those of several hubs can be added up.
var ofHub = []metric[hubfs.HubStats]{
	{"hubfs_hub_in_bytes_total", "Bytes written to the hub.", counter,
		func(h hubfs.HubStats) float64 { return float64(h.In) }},
	{"hubfs_hub_out_bytes_total", "Bytes handed to readers, to each of them.", counter,
		func(h hubfs.HubStats) float64 { return float64(h.Out) }},
	{"hubfs_hub_writes_total", "Writes that brought bytes.", counter,
		func(h hubfs.HubStats) float64 { return float64(h.Writes) }},
	{"hubfs_hub_reads_total", "Reads that gave bytes.", counter,
		func(h hubfs.HubStats) float64 { return float64(h.Reads) }},
	{"hubfs_hub_lost_bytes_total", "Bytes that readers were overtaken by.", counter,
		func(h hubfs.HubStats) float64 { return float64(h.Lost) }},
	{"hubfs_hub_retained_bytes", "Bytes that can still be read.", gauge,
		func(h hubfs.HubStats) float64 { return float64(h.Retained) }},
	{"hubfs_hub_disk_bytes", "Bytes of the hub on disk.", gauge,
		func(h hubfs.HubStats) float64 { return float64(h.OnDisk) }},
	{"hubfs_hub_readers", "Open readers.", gauge,
		func(h hubfs.HubStats) float64 { return float64(h.Readers) }},
	{"hubfs_hub_writers", "Open writers.", gauge,
		func(h hubfs.HubStats) float64 { return float64(h.Writers) }},
	{"hubfs_hub_blocked_writers", "Writers that wait.", gauge,
		func(h hubfs.HubStats) float64 { return float64(h.Blocked) }},
	{"hubfs_hub_held_seconds", "How long a writer has been waiting for readers.", gauge,
		func(h hubfs.HubStats) float64 { return h.Held.Seconds() }},
}

// families returns the metrics as Prometheus has them.
func families(s hubfs.Stats) []*dto.MetricFamily {
	var all []*dto.MetricFamily
	for _, m := range ofServer {
		f := m.family()
		m.add(f, m.value(s))
		all = append(all, f)
	}
	own := min(len(s.Hubs), MaxHubs)
	for _, m := range ofHub {
		f := m.family()
		for _, h := range s.Hubs[:own] {
			m.add(f, m.value(h), label("hub", h.Name))
		}
		if rest := s.Hubs[own:]; len(rest) > 0 {
			sum := 0.0
			for _, h := range rest {
				sum += m.value(h)
			}
			m.add(f, sum, label("hub", ""))
		}
		if len(f.Metric) > 0 { // the format has no empty ones
			all = append(all, f)
		}
	}
	return all
}

// family returns the metric without a number yet.
func (m metric[T]) family() *dto.MetricFamily {
	return &dto.MetricFamily{Name: &m.name, Help: &m.help, Type: &m.kind}
}

// add adds a number to f.
func (m metric[T]) add(f *dto.MetricFamily, value float64, labels ...*dto.LabelPair) {
	one := &dto.Metric{Label: labels}
	if m.kind == counter {
		one.Counter = &dto.Counter{Value: &value}
	} else {
		one.Gauge = &dto.Gauge{Value: &value}
	}
	f.Metric = append(f.Metric, one)
}

func label(name, value string) *dto.LabelPair {
	return &dto.LabelPair{Name: &name, Value: &value}
}
