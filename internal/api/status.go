package api

import (
	"context"
	"net/http"
	"time"
)

// Status is what those are told of a server who may read the settings of the
// installation. Checks and Streams are filled here, the rest by who runs it.
type Status struct {
	Status  string         `json:"status"` // ready, unavailable, as /health/ready has it
	Version string         `json:"version"`
	Started time.Time      `json:"started_at"`
	Uptime  int64          `json:"uptime_seconds"`
	Checks  []tried        `json:"checks"`
	Data    DatabaseStatus `json:"database"`
	Events  EventsStatus   `json:"events"`
	Streams StreamsStatus  `json:"streams"`
	Workers WorkersStatus  `json:"workers"`
	Queue   QueueStatus    `json:"queue"`
	Disk    DiskStatus     `json:"disk"`
	Wakes   *WakesStatus   `json:"wake_ups,omitempty"` // of several servers on one PostgreSQL
	Models  []ModelStatus  `json:"models"`             // that were called since the start

	LastCheckpoint *time.Time `json:"last_audit_checkpoint_at,omitempty"`
	LastBackup     *time.Time `json:"last_backup_at,omitempty"`
}

// DatabaseStatus is the database of a server.
type DatabaseStatus struct {
	Kind   string `json:"kind"` // sqlite, postgres
	Server string `json:"server_version"`
	Schema int    `json:"schema"`       // the last migration that was made
	Known  int    `json:"schema_known"` // the last that this server knows
}

// EventsStatus is how far the log goes, and how far this server has read it.
type EventsStatus struct {
	Head        int64 `json:"head"`
	Read        int64 `json:"read"`
	Lag         int64 `json:"lag"`
	Subscribers int   `json:"subscribers"`
	SlowestLag  int64 `json:"slowest_subscriber_lag"`
}

// StreamsStatus are the connections that stay.
type StreamsStatus struct {
	Open int64 `json:"open"`
	Most int   `json:"most"`
}

// WorkersStatus is who works on runs here.
type WorkersStatus struct {
	Busy   int        `json:"busy"`
	Seats  int        `json:"seats"` // 0: this server works on none
	Looked *time.Time `json:"last_looked_at,omitempty"`
}

// QueueStatus is what waits to be worked on, for all servers together.
type QueueStatus struct {
	Due     int64 `json:"due"`
	Ready   int64 `json:"ready"`
	Waiting int64 `json:"waiting"`
	Oldest  int64 `json:"oldest_due_seconds"`
}

// DiskStatus is the disk of the data directory.
type DiskStatus struct {
	Free int64 `json:"free_bytes"`
	Min  int64 `json:"least_bytes"` // below it the server is not ready
}

// WakesStatus is what wakes servers that share a database.
type WakesStatus struct {
	By      string `json:"by"`                // nats, database
	Trouble string `json:"trouble,omitempty"` // code of why the database does it for now
}

// ModelStatus is how a model did lately.
type ModelStatus struct {
	Provider string `json:"provider"`
	Model    string `json:"model"`
	Breaker  string `json:"breaker"` // closed, half_open, open
}

// getAlive says that the process answers, and what it is.
func (s *Server) getAlive(w http.ResponseWriter, _ *http.Request) error {
	return writeJSON(w, map[string]string{"status": "alive", "version": s.o.Version})
}

// getStatus tells how the server stands.
func (s *Server) getStatus(w http.ResponseWriter, r *http.Request) error {
	st, err := s.status(r.Context())
	if err != nil {
		return err
	}
	return writeJSON(w, st)
}

// Status tells how the server stands, to who has found that the reader may know it.
func (s *Server) Status(ctx context.Context) (Status, error) { return s.status(ctx) }

// status puts together what the server knows of itself and what it is told. It
// answers also when the server is not ready, as far as the rest can be found out.
func (s *Server) status(ctx context.Context) (st Status, err error) {
	ready := s.ready()
	if s.o.Status != nil {
		st, err = s.o.Status(ctx)
	}
	if st.Models == nil {
		st.Models = []ModelStatus{}
	}
	st.Status, st.Checks, st.Version = ready.Status, ready.Checks, s.o.Version
	hub := s.o.Hub.Metrics()
	st.Events.Read, st.Events.Subscribers, st.Events.SlowestLag = hub.Head, hub.Subscribers, hub.Lag
	st.Events.Lag = max(0, st.Events.Head-hub.Head)
	st.Streams = StreamsStatus{Open: s.streams.open.Load(), Most: s.streams.most}
	if err != nil && ready.Status != "ready" { // the checks say why
		err = nil
	}
	return st, err
}
