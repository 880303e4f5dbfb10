package egress

// Words says what a reason means and, where somebody can do something, what; "" for
// one that says it itself.
func Words(reason string) string {
	return map[string]string{
		NotListed:    "allow it with --allow-host",
		BadHost:      "it is no name, or an address in a notation that no rule names",
		BadRequest:   "it is not HTTP, or can be read in two ways",
		OtherHost:    "the Host header names another",
		NotTLS:       "only TLS passes there; http is asked for with the whole address",
		NoName:       "the program does not say in TLS which host it wants",
		OtherName:    "the program wants another host by TLS than by its request",
		HiddenName:   "the program hides in TLS which host it wants (ECH)",
		AddressTaken: "the name leads to an address that is not public; for one of your site's, add +private to the rule",
		AddressNever: "the name leads to an address that is never dialled, whatever is allowed: link-local, metadata of a cloud, multicast or reserved",
		Unresolved:   "there is no such name",
		Unreachable:  "nothing answers there",
		ProxyRefused: "your site's proxy does not let it through",
		TooSlow:      "the program did not send its part in time",
	}[reason]
}
