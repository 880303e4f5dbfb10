package ui

import (
	"strings"
	"testing"

	"mgx"
)

func TestNetwork(t *testing.T) {
	t.Parallel()
	d := mgx.NetworkUsedData{CallID: "c", Hosts: []mgx.NetworkUse{
		{Host: "a.test", Port: 443, Decision: "allowed", Times: 2, Sent: 10, Received: 20},
		{Host: "fd00::1", Port: 80, Decision: "refused", Reason: "not_listed", Times: 1},
		{Host: `"0x7f.1:80"`, Decision: "refused", Reason: "bad_host", Times: 1},
		{Decision: "refused", Reason: "others", Times: 9},
	}}
	const want = `allowed a.test:443, 2 times, 10 bytes out, 20 in; refused [fd00::1]:80 (not_listed); refused "0x7f.1:80" (bad_host); refused other hosts (others), 9 times`
	if got := describe(mgx.NewEvent(mgx.RunNetworkUsed, d)); got != want {
		t.Errorf("%s", got)
	}
	told := strings.Join((&story{page: page{style: style{width: 120}}}).tell(mgx.NewEvent(mgx.RunNetworkUsed, d)), "\n")
	if strings.Contains(told, "a.test") || !strings.Contains(told, "the network refused [fd00::1]:80 (not_listed)") || strings.Count(told, "refused") != 3 {
		t.Errorf("%s", told)
	}
}
