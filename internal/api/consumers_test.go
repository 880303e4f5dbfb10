package api_test

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"mgx"
	"mgx/internal/api"
	"mgx/internal/event"
)

func TestConsumers(t *testing.T) {
	t.Parallel()
	s := newHookSite(t)
	const root = "/api/v1/consumers"
	s.ask("GET", root, "", 404, nil)
	contracts, _ := event.NewRegistry()
	hub := event.NewHub(event.HubOptions{Source: s.store, Epoch: "epoch-1", Key: []byte("0123456789abcdef"), Authorize: event.OneWorkspace(mgx.DefaultWorkspace)})
	s.web = api.New(api.Options{Hub: hub, Contracts: contracts, Token: token, Consumers: s.store})

	if got := s.ask("GET", root, "", 200, nil); strings.TrimSpace(got) != `{"consumers":[]}` {
		t.Errorf("without any %s", got)
	}
	// A consumer with three dead letters.
	c, err := s.store.OpenConsumer(t.Context(), "metrics", 0)
	if err != nil {
		t.Fatal(err)
	}
	lease, _, err := s.store.ClaimConsumer(t.Context(), c.Lease, "own_a", mgx.Now().Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	var events []mgx.EventID
	for i := range 3 {
		e := mgx.NewEvent(mgx.RunNoted, mgx.NotedData{Level: "info"})
		e.Workspace, e.Stream = mgx.DefaultWorkspace, "task_a"
		d := mgx.DeadLetter{Event: e.ID, Workspace: e.Workspace, Type: e.Type, Stream: e.Stream, Position: int64(i + 1), Attempts: 6, LastError: "no"}
		if _, err := s.store.Commit(t.Context(), mgx.Change{Events: []mgx.Event{e}, Advance: &mgx.ConsumerAdvance{Lease: lease, Position: d.Position, Dead: &d}}); err != nil {
			t.Fatal(err)
		}
		events = append(events, e.ID)
	}
	var all struct{ Consumers []mgx.Consumer }
	if s.ask("GET", root, "", 200, &all); len(all.Consumers) != 1 || all.Consumers[0].Dead != 3 || all.Consumers[0].Position != 3 {
		t.Errorf("listed %+v", all)
	}
	var page struct {
		Dead []mgx.DeadLetter `json:"dead_letters"`
		Next string           `json:"next_page_token"`
	}
	if s.ask("GET", root+"/metrics/dead?limit=2", "", 200, &page); len(page.Dead) != 2 || page.Dead[0].Event != events[0] || page.Next == "" {
		t.Errorf("a page %+v", page)
	}
	next := page.Next
	page.Next = ""
	if s.ask("GET", root+"/metrics/dead?limit=2&page_token="+next, "", 200, &page); len(page.Dead) != 1 || page.Dead[0].Event != events[2] || page.Next != "" {
		t.Errorf("the next page %+v", page)
	}
	var retried struct{ Retried int }
	if s.ask("POST", root+"/metrics/dead/"+string(events[0])+"/retry", "", 200, &retried); retried.Retried != 1 {
		t.Errorf("retried %+v", retried)
	}
	s.ask("DELETE", root+"/metrics/dead/"+string(events[1]), "", 204, nil)
	if s.ask("POST", root+"/metrics/retry", "", 200, &retried); retried.Retried != 2 {
		t.Errorf("retried %+v", retried)
	}
	var one mgx.Consumer
	if s.ask("GET", root+"/metrics", "", 200, &one); one.Pending != 2 || one.Dead != 0 {
		t.Errorf("then it is %+v", one)
	}
	for path, method := range map[string]string{
		"/other": "GET", "/other/dead": "GET", "/other/retry": "POST", "/metrics/dead/evt_none/retry": "POST", "/metrics/dead/evt_none": "DELETE",
	} {
		s.ask(method, root+path, "", 404, nil)
	}
	s.ask("GET", root+"/metrics/dead?page_token=x", "", 400, nil)
	r := httptest.NewRequest("GET", "http://localhost"+root, nil)
	r.RemoteAddr = "127.0.0.1:1"
	w := httptest.NewRecorder()
	if s.web.ServeHTTP(w, r); w.Code != 401 {
		t.Errorf("without a token %d", w.Code)
	}
}
