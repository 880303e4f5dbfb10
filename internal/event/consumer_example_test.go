package event_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"mgx"
	"mgx/internal/event"
	"mgx/internal/store"
)

// A consumer that answers each failed task with an event of its own. The answer
// and the consumer's position are committed together: there is one answer to each
// failure, whatever dies and when.
func ExampleConsume() {
	dir, err := os.MkdirTemp("", "example-*")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	s, err := store.Open(context.Background(), filepath.Join(dir, "mgx.db"), store.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()

	failed := mgx.NewEvent(mgx.TaskFailed, mgx.TaskErrorData{Message: "out of money"})
	failed.Workspace, failed.Stream = mgx.DefaultWorkspace, "task_1"
	if _, err := s.Commit(context.Background(), mgx.Change{Events: []mgx.Event{failed}}); err != nil {
		log.Fatal(err)
	}

	ctx, stop := context.WithCancel(context.Background())
	event.Consume(ctx, event.ConsumeOptions{Store: s}, event.Consumer{
		Name:  "condolences",
		Types: []string{"task.error"},
		Handle: func(ctx context.Context, e mgx.Event) (mgx.Change, error) {
			var d mgx.TaskErrorData
			if err := e.Decode(&d); err != nil {
				return mgx.Change{}, event.GiveUp(err) // it will not decode next time either
			}
			fmt.Printf("%s at %d: %s\n", e.Type, e.Position, d.Message)
			answer := mgx.NewEvent(mgx.AgentMessage, mgx.AgentMessageData{Role: "system", Text: "sorry: " + d.Message})
			answer.Workspace, answer.Stream, answer.Causation = e.Workspace, e.Stream, e.ID
			stop() // a real one goes on
			return mgx.Change{Events: []mgx.Event{answer}}, nil
		},
	})
	c, _ := s.Consumer(context.Background(), "condolences")
	fmt.Printf("position %d of %d\n", c.Position, c.Head)
	// Output:
	// task.error at 1: out of money
	// position 1 of 2
}
