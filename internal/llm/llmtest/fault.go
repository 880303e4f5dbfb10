package llmtest

import "net/http"

// Fault is something for a server to do wrong with one request.
type Fault struct {
	Kind   FaultKind
	After  int         // events to send before it strikes, where that applies
	Status int         // of Status
	Header http.Header // of Status
	Body   string      // of Status, or of StreamError
}

// FaultKind names what goes wrong. Those in the second group are not wrong, only
// rare: a client must take them.
type FaultKind int

const (
	_               FaultKind = iota
	Status                    // answer with Status, Header and Body
	ResetAtOnce               // close the connection before any answer
	ResetMidHeader            // close it within the header
	ResetMidEvent             // close it within the event after After
	HalfLine                  // end cleanly within the event after After
	StallFirst                // accept the call and say nothing
	Stall                     // say nothing more after After events
	NoEnd                     // leave out [DONE], or message_stop, where the dialect has it
	NoFinish                  // leave out the finish reason as well, and what follows it
	Restarted                 // send the start of an answer twice, the second time after After events
	BadJSON                   // send an event that is not JSON after After events
	StreamError               // report Body as an error after After events
	Endless                   // never stop sending text
	EndlessComments           // never stop sending comments
	Huge                      // send one event of 50 MB
	HugeDocument              // send one document of 50 MB
	WebPage                   // answer 200 with HTML

	Gzip        // compress the answer
	CRLF        // end lines in CRLF
	MultiLine   // spread each event over several data lines
	Pings       // send comments and pings between events
	NoUsage     // report no usage
	UsageTwice  // report usage a second time, the same
	Document    // ignore that a stream was asked for
	SplitArgs   // send arguments byte by byte
	Interleaved // send the arguments of several calls in turns
	NoIDs       // send tool calls without ids
	SameIDs     // send all tool calls with one id
	Refused     // mark the answer as a refusal, where the dialect has one
	Filtered    // mark the answer as cut by a content filter
)
