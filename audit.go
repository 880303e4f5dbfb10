package mgx

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"
)

const auditPrefix = "audit_"

// AuditStream is the stream of a workspace's audit entries. Only those are in it.
func AuditStream(ws WorkspaceID) StreamID { return StreamID(auditPrefix + string(ws)) }

// IsAudit reports whether a stream is one of audit entries.
func (id StreamID) IsAudit() bool { return strings.HasPrefix(string(id), auditPrefix) }

// Decisions of an audit entry.
const (
	AuditAllowed = "allowed" // and done, in the same transaction
	AuditDenied  = "denied"  // not done
)

// AuditData is the data of an audit entry. What may say something about a person
// is in Details alone, which can be erased: the tree holds only Commitment, a hash
// that without Salt tells nothing of what it was made of.
type AuditData struct {
	Actor      string        `json:"actor"`    // id of a user or a key; "system"; "anonymous"
	Action     string        `json:"action"`   // "resource.verb": "key.create"
	Resource   string        `json:"resource"` // id of what it was done to
	Decision   string        `json:"decision"` // AuditAllowed or AuditDenied
	Reason     string        `json:"reason,omitempty"`
	Request    string        `json:"request_id,omitempty"`
	Commitment string        `json:"commitment"` // SHA-256 of Salt and Details, in hex; the store fills it
	Salt       string        `json:"salt,omitempty"`
	Details    *AuditDetails `json:"details,omitempty"`
	// Leaf is how the tree hashes the entry: 0 as at first, 1 since erasing is recorded, 2
	// since it holds all of the row. Of an entry of the later kinds details are gone only
	// where an Erased tells of it.
	Leaf int `json:"leaf,omitempty"`
	// Erased says which earlier entries lost their details by this act, as
	// [AuditErasure] writes it, with a signature.
	Erased string `json:"erased,omitempty"`
	// Kept is for how many days the entry is kept at least, whatever its type asks for
	// later; 0: for ever, -1: its type alone decides. The store fills it.
	Kept int64 `json:"kept_days,omitempty"`
}

// Changes reports whether an act makes something else of what it is done to, rather
// than only reads, uses or tries it.
func (d AuditData) Changes() bool {
	_, verb, _ := strings.Cut(d.Action, ".")
	return !slices.Contains([]string{"use", "export", "test"}, verb)
}

// AuditDetails are the words of an audit entry.
type AuditDetails struct {
	From   string          `json:"from,omitempty"` // where the request came from: an address, "socket", "cli"
	Agent  string          `json:"user_agent,omitempty"`
	Before json.RawMessage `json:"before,omitempty"`
	After  json.RawMessage `json:"after,omitempty"`
}

// NewAudit builds the event of an act. It goes into the same [Change] as the act
// itself, so that neither is without the other.
func NewAudit(ws WorkspaceID, d AuditData) Event {
	if d.Details == nil {
		d.Details = &AuditDetails{}
	}
	d.Salt, d.Leaf = rand.Text(), 2
	e := NewEvent(AuditRecorded, d.committed())
	e.Workspace, e.Stream = ws, AuditStream(ws)
	return e
}

// Sealed is an audit entry whose commitment is to the details it has now. The
// store calls it last, when secrets are redacted.
func (e Event) Sealed() (Event, error) {
	var d AuditData
	if err := e.Decode(&d); err != nil {
		return e, err
	}
	if e.Stream != AuditStream(e.Workspace) || d.Salt == "" || d.Details == nil {
		return e, Errorf(KindInternal, "bad_audit", "audit entry %s was not made by NewAudit", e.ID)
	}
	data, err := json.Marshal(d.committed())
	e.Data = data
	return e, err
}

// KeptFor is an audit entry that says for how long it is kept; one of an earlier kind of
// leaf, which does not hold that, says nothing of it.
func (e Event) KeptFor(days int64) (Event, error) {
	var d AuditData
	if err := e.Decode(&d); err != nil {
		return e, err
	}
	if d.Leaf >= 2 {
		d.Kept = days
	}
	data, err := json.Marshal(d)
	e.Data = data
	return e, err
}

func (d AuditData) committed() AuditData {
	d.Commitment = d.commitment()
	return d
}

// commitment hashes the details as they are written.
func (d AuditData) commitment() string {
	details, err := json.Marshal(d.Details)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(append([]byte(d.Salt+"\x00"), details...))
	return hex.EncodeToString(sum[:])
}

// Intact reports whether the details are those that were committed to, or were
// erased.
func (d AuditData) Intact() bool {
	return d.Details == nil && d.Salt == "" || d.Commitment != "" && d.Commitment == d.commitment()
}

// AuditLeaf is what the tree hashes of an entry: all of it but its details, each
// field after its length, so that no two entries spell the same.
func AuditLeaf(e Event) ([]byte, error) {
	var d AuditData
	if err := e.Decode(&d); err != nil {
		return nil, err
	}
	fields := []string{string(e.ID), string(e.Workspace), d.Actor, d.Action, d.Resource, d.Decision, d.Reason, d.Request, d.Commitment}
	leaf := []byte("mgx audit 1\n")
	switch d.Leaf {
	case 0:
	case 1:
		leaf, fields = []byte("mgx audit 2\n"), append(fields, d.Erased)
	case 2:
		leaf, fields = []byte("mgx audit 3\n"), append(fields, d.Erased, strconv.FormatInt(d.Kept, 10), e.Version)
	default:
		return nil, Errorf(KindUsage, "bad_audit", "audit entry %s is of a kind that this version of MGX does not know", e.ID)
	}
	leaf = binary.BigEndian.AppendUint64(leaf, uint64(e.Sequence))
	leaf = binary.BigEndian.AppendUint64(leaf, uint64(e.Time.UnixMicro()))
	for _, field := range fields {
		leaf = binary.BigEndian.AppendUint32(leaf, uint32(len(field)))
		leaf = append(leaf, field...)
	}
	return leaf, nil
}

// AuditCheckpoint is a signed statement of how a workspace's audit log stood.
type AuditCheckpoint struct {
	Workspace WorkspaceID `json:"workspace_id"`
	Size      int64       `json:"size"` // entries
	Note      string      `json:"note"` // text and signatures, as golang.org/x/mod/sumdb/note writes them
	CreatedAt time.Time   `json:"created_at"`
}
