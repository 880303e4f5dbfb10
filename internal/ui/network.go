package ui

import (
	"cmp"
	"fmt"
	"net"
	"strconv"
	"strings"

	"mgx"
)

// networkUsed is what a command reached, and what it did not.
func networkUsed(d mgx.NetworkUsedData) string {
	var out []string
	for _, u := range d.Hosts {
		text := u.Decision + " " + destination(u)
		if u.By != "" && u.By != "list" {
			text += " by " + u.By
		}
		if u.Reason != "" {
			text += " (" + u.Reason + ")"
		}
		if u.Times > 1 {
			text += fmt.Sprintf(", %d times", u.Times)
		}
		if u.Sent+u.Received > 0 {
			text += fmt.Sprintf(", %d bytes out, %d in", u.Sent, u.Received)
		}
		out = append(out, text)
	}
	return strings.Join(out, "; ")
}

func destination(u mgx.NetworkUse) string {
	if u.Port == 0 {
		return cmp.Or(u.Host, "other hosts")
	}
	return net.JoinHostPort(u.Host, strconv.Itoa(u.Port))
}

// network warns of what was refused: the agent is told too, and may ask for it.
func (s *story) network(d mgx.NetworkUsedData) {
	for _, u := range d.Hosts {
		if u.Decision == "refused" {
			s.warn("the network refused " + destination(u) + " (" + u.Reason + ")")
		}
	}
}
