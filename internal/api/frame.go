package api

import (
	"bytes"
	"encoding/json"
	"io"

	"mgx"
	"mgx/internal/event"
)

// subprotocol names these frames. Each is one JSON object in a text message.
const subprotocol = "events.v1+json"

const (
	maxFrame = 64 << 10 // bytes of one frame of a client
	maxSubID = 64       // characters of a subscription's id
)

// clientFrame is what a client sends. Which fields count depends on Type.
type clientFrame struct {
	Type     string       `json:"type"` // subscribe, unsubscribe, ack, ping
	ID       string       `json:"id"`   // of the subscription; the client chooses it
	Channels []string     `json:"channels"`
	Filter   *frameFilter `json:"filter"`
	Resume   string       `json:"resume"` // token of the last event
	After    *int64       `json:"after"`  // instead: the position to begin after
	Live     bool         `json:"live"`
	Versions string       `json:"versions"`
	Position int64        `json:"position"` // of ack
}

type frameFilter struct {
	Types []string `json:"types"`
}

// parseFrame accepts one object with known fields and nothing after it.
func parseFrame(text []byte) (clientFrame, error) {
	var f clientFrame
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil {
		return f, mgx.Errorf(mgx.KindUsage, codeFrame, "the frame is not a JSON object with known fields of the right types")
	}
	if _, err := d.Token(); err != io.EOF {
		return f, mgx.Errorf(mgx.KindUsage, codeFrame, "there is something after the frame's object")
	}
	if len(f.ID) > maxSubID {
		f.ID = ""
		return f, mgx.Errorf(mgx.KindUsage, codeFrame, "an id has at most %d characters", maxSubID)
	}
	return f, nil
}

// request is the subscription that a subscribe frame asks for.
func (f clientFrame) request() (event.SubscribeRequest, error) {
	if len(f.Channels) == 0 {
		return event.SubscribeRequest{}, mgx.Errorf(mgx.KindUsage, codeFrame, `subscribe needs channels, such as ["all"]`)
	}
	if f.Resume != "" && f.After != nil {
		return event.SubscribeRequest{}, mgx.Errorf(mgx.KindUsage, codeFrame, "resume and after exclude each other")
	}
	if f.After != nil && *f.After < 0 {
		return event.SubscribeRequest{}, mgx.Errorf(mgx.KindUsage, codeFrame, "after is the position of an event, 0 or more")
	}
	channels, err := event.ParseChannels(f.Channels)
	r := event.SubscribeRequest{Channels: channels, Resume: f.Resume, After: f.After, Live: f.Live, Versions: f.Versions}
	if f.Filter != nil {
		r.Types = f.Filter.Types
	}
	return r, err
}

// serverFrame is what the server sends, but for events and live frames.
type serverFrame struct {
	Type     string   `json:"type"` // subscribed, checkpoint, lagging, reset, error, pong
	ID       string   `json:"id,omitempty"`
	Epoch    string   `json:"epoch,omitempty"`
	Position *int64   `json:"position,omitempty"`
	Head     *int64   `json:"head,omitempty"`
	Resume   string   `json:"resume,omitempty"`
	Reason   string   `json:"reason,omitempty"`
	Earliest *int64   `json:"earliest,omitempty"`
	Problem  *problem `json:"problem,omitempty"`
}

// liveFrame is no event; see event.Live.
type liveFrame struct {
	Type   string `json:"type"` // live
	ID     string `json:"id,omitempty"`
	Missed int64  `json:"missed,omitempty"` // frames left out before this one
	event.Live
}

func (f serverFrame) text() []byte {
	text, _ := json.Marshal(f) // plain structs
	return text
}

// appendEvent writes {"type":"event","id":…,"resume":…,"event":…} around the
// shared bytes of an event.
func appendEvent(buf []byte, id []byte, resume string, envelope []byte) []byte {
	buf = append(buf, `{"type":"event","id":`...)
	buf = append(buf, id...)
	buf = append(buf, `,"resume":"`...)
	buf = append(buf, resume...)
	buf = append(buf, `","event":`...)
	buf = append(buf, envelope...)
	return append(buf, '}')
}
