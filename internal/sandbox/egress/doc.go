// Package egress is the gate of a sandbox: a proxy in our own process that lets
// commands reach the hosts on a list, and nothing else.
//
// A box has a network in which there is nothing but this. What connects speaks
// HTTP to a proxy: CONNECT for TLS, and requests with an absolute http address.
// There is no name service and no route inside, so a program that does not ask
// here gets nowhere.
//
// # Promises
//
//   - A connection is made only to a host and port that a [Rule] of the [List]
//     names. Names are compared as they are resolved, in lower case and ASCII;
//     an address in any notation is refused unless a rule names that address.
//   - A name that is not listed is not even resolved, so it carries nothing out.
//   - The address that is dialled is the one that is checked, at the moment of
//     dialling: it must be public, or the rule must say +private. Metadata of
//     clouds, link-local and multicast addresses are never dialled.
//   - What CONNECT carries is TLS for the very host that was asked for, by the
//     name in its first message. It is not decrypted.
//   - A plain request goes to the host of its address, which its Host header has
//     to repeat, and has one reading. Each has a connection of its own. A
//     redirect is the program's own next request.
//   - Everything is bounded, in number, size and time, and ends with the command.
//
// # Not promised
//
// What an allowed host does with what it is told. A host that hands requests on
// to others, as content networks do for names inside of TLS, reaches those too.
// Behind an operator's own proxy that proxy resolves names, and its rules decide
// which addresses they may have.
package egress

import (
	"time"

	"mgx/internal/sandbox"
)

// Bounds of the gate of one command.
const (
	maxConnections = 128              // at once, where [Places] leave as many; more wait
	maxHead        = 64 << 10         // bytes of a request's line and headers, and of what the first message of TLS comes in
	maxHeaders     = 200              // lines
	maxVisits      = 64               // that are told apart, of those that were allowed and of the others
	maxShown       = 20               // rules in an answer
	headTime       = 10 * time.Second // for a request's line and headers, and for the first message of TLS
	dialTime       = 30 * time.Second // to resolve and to connect
	idleTime       = 5 * time.Minute  // without a byte in either direction
	lingerTime     = time.Second      // for a refused program to read why
)

// Reasons of visits that were refused, or allowed and failed all the same.
const (
	NotListed    = "not_listed"          // no rule names the host and port
	BadHost      = "bad_host"            // no name, or an address in some notation that no rule names
	BadRequest   = "bad_request"         // not HTTP, or with more than one reading
	OtherHost    = "other_host"          // the Host header differs from the address
	NotTLS       = "not_tls"             // CONNECT for something else than TLS
	NoName       = "no_server_name"      // TLS that does not say which host it is for
	OtherName    = "other_server_name"   // TLS for another host than was asked for
	HiddenName   = "hidden_server_name"  // TLS that encrypts which host it is for
	AddressTaken = "address_not_allowed" // what the name leads to is not public, and the rule does not say +private
	AddressNever = "address_reserved"    // what the name leads to is opened by no rule
	Unresolved   = "unresolved"          // the name leads nowhere
	Unreachable  = "unreachable"         // nothing answers there
	ProxyRefused = "proxy_refused"       // the operator's own proxy does not let it through
	TooSlow      = "too_slow"            // the program did not send its part in time
	Others       = "others"              // more destinations than are told apart
)

var _ sandbox.Gate = (*Gate)(nil)
