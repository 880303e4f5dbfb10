// Package webhook sends the events of a workspace to addresses outside, as
// Standard Webhooks 1.0 describes: https://www.standardwebhooks.com. What it
// sends is the event's envelope, signed, under the event's id.
//
// [Endpoints] is what people do with endpoints: add, rotate, look, retry.
// [Deliverer] is what makes the deliveries. It reads the log from each endpoint's
// durable cursor, turns a stretch of it into deliveries in one transaction with
// the cursor, and sends those that are due. Which of several processes does that
// for an endpoint is a lease with a term; what was written under a lost one is
// refused.
//
// # Promises
//
//   - At least once: every event that matches an endpoint is answered with 2xx or
//     becomes a dead letter. A process that dies between sending and recording
//     leaves the event to be sent again, under the same webhook-id.
//   - No silent gap: when retention has removed events that were not read yet for an
//     endpoint, it gets an event webhook.skipped that says so.
//   - In order per stream: an event is sent when those before it in its stream are
//     delivered or dead. Different streams go side by side.
//   - An endpoint that fails does not hold up others: it has one request under way
//     at a time, and all that fail together have half of the slots at most.
//   - Bounded: endpoints, pending deliveries, requests, response bodies and what is
//     kept of the past. An endpoint whose window is full, or whose workspace may send
//     no more on this day, stops reading the log and goes on later; the log keeps what
//     it has not read.
//   - Nothing private is reached: addresses are checked where the connection is
//     made, after names were resolved, and redirects are not followed.
//   - Secrets appear in no log line, event, error or list.
//
// It does not promise exactly once, nor order between streams.
package webhook
