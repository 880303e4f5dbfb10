package sandbox

import (
	"net"

	"mgx"
)

// GateAddress is where commands that are Online find the gate of their box, in a
// network that has nothing else.
const GateAddress = "127.0.0.1:3128"

// Gate is the one way out of a box: a proxy in our process that decides where
// commands may go. Only boxes of level basic or better can have one, because
// only they have a network of their own to be the end of.
type Gate interface {
	// Environ tells the programs of a command that is Online to use the gate.
	Environ() []string
	// Serve answers whatever connects to l, in the background, until end is called,
	// which ends every connection that is left, closes l, and says what was asked
	// for. So does soFar, at any time. Several commands may be served at once.
	Serve(l net.Listener) (soFar, end func() []Visit)
}

// Visit is what a command asked of the gate about one destination, any number
// of times.
type Visit struct {
	Host     string // as names are compared: lower case, ASCII; empty when it was no name at all
	Port     int
	Allowed  bool
	Reason   string // why it was not allowed, or failed all the same: one word, see package egress
	Times    int
	Sent     int64 // bytes that left the box, without what the gate itself adds
	Received int64
}

// HasGate reports whether boxes of a level can have one.
func (l Level) HasGate() bool { return l.AtLeast(LevelBasic) && l != LevelGVisor }

// NoGate is the error of a driver whose boxes can have none, at this level.
func NoGate(level Level) error {
	if level == LevelGVisor {
		return mgx.Errorf(mgx.KindConfig, "no_allow_list",
			"hosts cannot be allowed in a sandbox of gVisor, whose network is its own; leave --allow-host out, or use --sandbox=auto or docker")
	}
	return mgx.Errorf(mgx.KindConfig, "no_allow_list",
		"hosts can be allowed only in a sandbox with a network of its own, and level %s has none; leave --allow-host out, or see with mgx doctor what level basic lacks here", level)
}
