package egress

import "testing"

// TestWords wants words for every reason that does not say all itself.
func TestWords(t *testing.T) {
	t.Parallel()
	for _, reason := range []string{
		NotListed, BadHost, BadRequest, OtherHost, NotTLS, NoName, OtherName, HiddenName, AddressTaken, AddressNever, Unresolved, Unreachable, ProxyRefused, TooSlow,
	} {
		if Words(reason) == "" {
			t.Errorf("%s has no words", reason)
		}
	}
	if Words(Others) != "" || Words("") != "" {
		t.Error("there are words for nothing")
	}
}
