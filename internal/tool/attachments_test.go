package tool

import "testing"

// What a run was given is read like the workspace, under its own name, and never
// written.
func TestAttachmentsAreRead(t *testing.T) {
	t.Parallel()
	ws := workspace(t, map[string]string{"a.txt": "of the repository"})
	ws.Attachments = workspace(t, map[string]string{"data/a.txt": "of the person"}).Root
	want(t, call(t, ws, "read", fields{"path": "/attachments/data/a.txt"}), Success, "of the person")
	want(t, call(t, ws, "grep", fields{"pattern": "person", "path": "/attachments"}), Success, "/attachments/data/a.txt")
	want(t, call(t, ws, "list", fields{"path": "/attachments"}), Success, "data")
	want(t, call(t, ws, "write", fields{"path": "/attachments/data/a.txt", "content": "x"}), Denied, "cannot be changed")
	want(t, call(t, ws, "edit", fields{"path": "/attachments/data/a.txt", "old_string": "of", "new_string": "x"}), Denied, "cannot be changed")
	want(t, call(t, ws, "read", fields{"path": "/attachments/../a.txt"}), Denied, "leads out")
	ws.Attachments = nil
	want(t, call(t, ws, "read", fields{"path": "/attachments/data/a.txt"}), Denied, "outside the workspace")
}
