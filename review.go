package mgx

// People look through what a run has changed, file by file. What they remark, what
// they approve and what they ask for lies in events of the run, so it is there for
// everybody who looks, and for good.

// CommentMadeData is what somebody remarked on a line of the difference.
type CommentMadeData struct {
	CommentID string `json:"comment_id"`
	By        string `json:"by"` // an id
	File      string `json:"file"`
	Side      string `json:"side"`             // old or new: of which side of the difference the line is
	Line      int    `json:"line"`             // from 1, on that side
	Quote     string `json:"quote,omitempty"`  // the line as it was then; cut when it is long
	Text      string `json:"text"`             // what is remarked
	Digest    string `json:"digest,omitempty"` // SHA-256 of the file's part of the difference then
}

// CommentClosedData takes a comment back, or says that it is settled.
type CommentClosedData struct {
	CommentID string `json:"comment_id"`
	By        string `json:"by"` // an id
}

// FileApprovedData approves one file's part of the difference as it is then, or
// takes that back.
type FileApprovedData struct {
	File     string `json:"file"`
	Digest   string `json:"digest"` // SHA-256 of the file's part of the difference: it counts for nothing else
	Approved bool   `json:"approved"`
	By       string `json:"by"` // an id
}

// ChangesRequestedData says that the team is to change its work. What it names was
// sent to the agents.
type ChangesRequestedData struct {
	By         string   `json:"by"`                    // an id
	ApprovalID string   `json:"approval_id,omitempty"` // of the delivery that this answers; empty: none was asked for
	Reason     string   `json:"reason,omitempty"`      // in words
	Comments   []string `json:"comments,omitempty"`    // ids of the comments that went with it
}
