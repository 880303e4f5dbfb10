package web

import "time"

// Health is how a server stands: what /health/status tells programs.
type Health struct {
	Ready    bool
	Version  string
	Started  time.Time
	Checks   []HealthCheck
	Database string // its kind and version
	Schema   int    // the last migration that was made
	Known    int    // the last that this server knows

	Head, Lag   int64 // positions of the log, and how many this server has not read yet
	Subscribers int
	Streams     int64
	MostStreams int

	Busy, Seats int       // runs that are worked on here, and how many could be
	Looked      time.Time // when somebody looked for work last

	Due, Waiting int64 // executions, for all servers together
	OldestDue    time.Duration
	Free, Least  int64 // bytes of the disk of the data
	WakeUps      string
	WakeTrouble  string
	Models       []ModelHealth
	LastSigned   time.Time // checkpoint of the audit log
	LastBackup   time.Time
}

// HealthCheck is one thing that was tried.
type HealthCheck struct {
	Name, Status string // ok, slow, warning, failed
	Detail       string
	Took         time.Duration
}

// ModelHealth is how a model does whose calls this server made.
type ModelHealth struct {
	Provider, Model string
	Breaker         string // closed, half_open, open
}

// healthPage shows it.
type healthPage struct {
	sheetPage
	Health
}

func health(v *visit, f *form) (page, error) {
	d := &healthPage{sheetPage: v.sheetPage("health", f)}
	var err error
	if d.Health, err = v.site.o.Settings.Health(v.Context()); err != nil {
		return page{}, err
	}
	return v.settingsPage("health", "set.health", "mgx doctor\ncurl -H \"Authorization: Bearer KEY\" "+v.site.origin(v)+"/health/status", d), nil
}
