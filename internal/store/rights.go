package store

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"mgx"
)

// person is somebody who is to be erased, with what the log may say of them.
type person struct {
	mgx.PersonErasure
	sessions    []mgx.SessionID
	keys        []mgx.KeyID
	invitations []mgx.InvitationID
	addresses   []string // that they have here, and that issuers verified
}

// words are what the log may say of them: ids, and their addresses.
func (p person) words() [][]byte {
	all := [][]byte{[]byte(p.User)}
	for _, id := range p.sessions {
		all = append(all, []byte(id))
	}
	for _, id := range p.keys {
		all = append(all, []byte(id))
	}
	for _, id := range p.invitations {
		all = append(all, []byte(id))
	}
	for _, email := range p.addresses {
		all = append(all, []byte(email), []byte(jsonText(email)))
	}
	return all
}

func (p person) meant(data []byte) bool {
	return slices.ContainsFunc(p.words(), func(w []byte) bool { return bytes.Contains(data, w) })
}

const (
	addressesOf   = `SELECT email FROM users WHERE id = $1 AND email <> '' UNION SELECT email FROM identities WHERE user_id = $1 AND email <> ''`
	invitationsOf = `(user_id = $1 OR email IN (` + addressesOf + `))`
	// Who wrote a task is the person, or one of their keys.
	writtenBy = `SELECT task FROM executions WHERE task <> '' AND (user_id = $1 OR user_id IN (SELECT id FROM api_keys WHERE user_id = $1))
		UNION SELECT task FROM events WHERE type = 'task.created' AND (data LIKE '%"user_id":"' || $1 || '"%'
			OR EXISTS (SELECT 1 FROM api_keys k WHERE k.user_id = $1 AND events.data LIKE '%"user_id":"' || k.id || '"%'))`
)

// PlanPersonErasure says what ErasePerson would erase. The owner of the data
// directory stays for as long as that does; who was erased, and of whom the log says
// nothing since, is CodeErased.
func (s *Store) PlanPersonErasure(ctx context.Context, id mgx.UserID) (mgx.PersonErasure, error) {
	p, err := s.person(mgx.ForInstallation(ctx), id)
	return p.PersonErasure, err
}

// person finds out what there is of one.
func (s *Store) person(ctx context.Context, id mgx.UserID) (p person, err error) {
	if id == mgx.LocalUser {
		return p, mgx.Errorf(mgx.KindRefused, "owner_stays", "%s stands for whoever has the data directory, and is erased with it; another address is set with: mgx members reset", id)
	}
	erased := s.wasErased(ctx, string(id))
	switch {
	case mgx.IsCode(erased, mgx.CodeErased): // but for what was on its way then, such as an attempt to sign in
	case erased != nil:
		return p, erased
	default:
		if _, err := s.User(ctx, id); err != nil {
			return p, err
		}
	}
	p.User = id
	for _, q := range []struct {
		query string
		add   func(string)
	}{
		{addressesOf, func(v string) { p.addresses = append(p.addresses, v) }},
		{`SELECT workspace FROM members WHERE user_id = $1 ORDER BY workspace`, func(v string) { p.Workspaces = append(p.Workspaces, mgx.WorkspaceID(v)) }},
		{`SELECT id FROM sessions WHERE user_id = $1 ORDER BY id`, func(v string) { p.sessions = append(p.sessions, mgx.SessionID(v)) }},
		{`SELECT id FROM api_keys WHERE user_id = $1 ORDER BY id`, func(v string) { p.keys = append(p.keys, mgx.KeyID(v)) }},
		{`SELECT id FROM invitations WHERE ` + invitationsOf + ` ORDER BY id`, func(v string) { p.invitations = append(p.invitations, mgx.InvitationID(v)) }},
		{writtenBy + ` ORDER BY 1`, func(v string) { p.Tasks = append(p.Tasks, mgx.TaskID(v)) }},
	} {
		all, err := list(ctx, s, scanText, q.query, string(id))
		if err != nil {
			return p, err
		}
		for _, v := range all {
			q.add(v)
		}
	}
	p.Sessions, p.Keys, p.Invitations = int64(len(p.sessions)), int64(len(p.keys)), int64(len(p.invitations))
	if p.Identities, _, err = get(ctx, s, scanCount, `SELECT COUNT(*) FROM identities WHERE user_id = $1`, string(id)); err != nil {
		return p, err
	}
	if err := s.findTraces(ctx, &p); err != nil {
		return p, err
	}
	if p.Entries+p.Events == 0 {
		return p, erased
	}
	return p, nil
}

func scanText(row scanner) (v string, err error) { return v, row.Scan(&v) }

// wasErased is CodeErased for a subject that was.
func (s *Store) wasErased(ctx context.Context, subject string) error {
	at, found, err := get(ctx, s, scanCount, `SELECT COALESCE(done_at, 0) FROM erasures WHERE subject = $1`, subject)
	if err == nil && found && at != 0 {
		err = mgx.Errorf(mgx.KindUsage, mgx.CodeErased, "%s was erased on %s", subject, timeOf(at).Format(time.DateOnly))
	}
	return err
}

// findTraces counts what of the log is about a person.
func (s *Store) findTraces(ctx context.Context, p *person) error {
	err := s.eachTrace(ctx, *p, func(e mgx.Event) error {
		if e.Type == mgx.AuditRecorded {
			p.Entries++
		} else {
			p.Events++
		}
		return nil
	})
	if err != nil {
		return err
	}
	return each(p.addresses, func(email string) error {
		all, err := list(ctx, s, scanText, `SELECT DISTINCT task FROM events WHERE task <> '' AND LOWER(data) LIKE $1 ESCAPE '\' ORDER BY task`, "%"+likeText(jsonText(email))+"%")
		for _, id := range all {
			if id := mgx.TaskID(id); !slices.Contains(p.Tasks, id) && !slices.Contains(p.Mentions, id) {
				p.Mentions = append(p.Mentions, id)
			}
		}
		return err
	})
}

// eachTrace calls back for the entries of audit logs and the security events that
// are about a person and say something still, in no order that matters.
func (s *Store) eachTrace(ctx context.Context, p person, do func(mgx.Event) error) error {
	spaces, err := s.AuditedWorkspaces(ctx)
	if err != nil {
		return err
	}
	for _, ws := range spaces {
		if err := s.eachEntry(ctx, ws, func(e mgx.Event, d mgx.AuditData) error {
			if d.Details == nil || d.Erased != "" || !p.meant(e.Data) { // an erasure's own entry has nothing in its details
				return nil
			}
			return do(e)
		}); err != nil {
			return err
		}
	}
	for after := int64(0); ; {
		page, err := s.Events(ctx, EventQuery{AfterPosition: after, Types: []string{"security.*"}})
		if err != nil || len(page) == 0 {
			return err
		}
		for _, e := range page {
			if after = e.Position; e.Run == "" && p.meant(e.Data) && !e.Erased() { // what is of a run goes with its task
				if err := do(e); err != nil {
					return err
				}
			}
		}
	}
}

// eachEntry calls back for every entry of a workspace's audit log, also for those
// that are on their way into it.
func (s *Store) eachEntry(ctx context.Context, ws mgx.WorkspaceID, do func(mgx.Event, mgx.AuditData) error) error {
	size, err := s.AuditSize(ctx, ws)
	if err != nil {
		return err
	}
	for after := int64(0); after < size; {
		page, err := s.AuditEntries(ctx, ws, after)
		if err != nil {
			return err
		}
		if len(page) == 0 && !sleep(ctx, shortWait/4) {
			return ctx.Err()
		}
		for _, e := range page {
			after = e.Sequence
			var d mgx.AuditData
			if err := e.Decode(&d); err != nil {
				return err
			}
			if err := do(e, d); err != nil {
				return err
			}
		}
	}
	return nil
}

// ErasePerson takes a person out of the database for good: the account, what they
// proved themselves with, memberships, sessions, keys, invitations, the details of
// the audit entries that are by or about them, and the data of security events
// that are; with tasksToo also the words of the tasks that they wrote or that hold
// their address, with all their runs. What stays is ids: that somebody did what,
// and when. It may be called again, and then goes on where it was interrupted.
//
// Files of runs are the caller's to remove; earlier backups, exports and delivered
// branches are out of its reach.
func (s *Store) ErasePerson(ctx context.Context, by mgx.Doer, id mgx.UserID, tasksToo bool) (mgx.PersonErasure, error) {
	ctx = mgx.ForInstallation(ctx)
	p, err := s.person(ctx, id)
	if err == nil {
		err = s.erasePerson(ctx, by, &p, tasksToo)
	}
	return p.PersonErasure, err
}

func (s *Store) erasePerson(ctx context.Context, by mgx.Doer, p *person, tasksToo bool) (err error) {
	if by.Actor == string(p.User) || slices.Contains(p.keys, mgx.KeyID(by.Actor)) {
		by.From, by.Agent = "", ""
	}
	var tasks []Subject
	if p.TasksToo = tasksToo; tasksToo {
		if tasks, err = s.tasksOf(ctx, *p); err != nil {
			return err
		}
	}
	if err := s.expel(ctx, by, *p); err != nil {
		return err
	}
	for _, subject := range tasks {
		done, err := s.eraseSubject(ctx, subject, by.Actor)
		if err != nil {
			return err
		}
		for _, run := range done.Runs {
			p.Runs = append(p.Runs, run.ID)
		}
	}
	// Once more, since the erasure itself and whoever was faster may have left traces.
	p.Entries, p.Events, p.Mentions = 0, 0, nil
	if err := s.findTraces(ctx, p); err != nil {
		return err
	}
	if err := s.eraseTraces(ctx, by, *p); err != nil {
		return err
	}
	if err := s.write(ctx, func(t *tx) error { return t.erasePerson(*p) }); err != nil {
		return err
	}
	return s.scrub(ctx)
}

// tasksOf are the tasks whose words are to go, none of which may be at work.
func (s *Store) tasksOf(ctx context.Context, p person) (all []Subject, err error) {
	for _, id := range slices.Concat(p.Tasks, p.Mentions) {
		ws, found, err := get(ctx, s, scanText, `SELECT workspace FROM events WHERE task = $1 ORDER BY position LIMIT 1`, string(id))
		if err != nil {
			return nil, err
		}
		if !found {
			continue
		}
		subject := Subject{Workspace: mgx.WorkspaceID(ws), Task: id}
		if _, err := s.PlanErasure(ctx, subject); err != nil {
			return nil, err
		}
		all = append(all, subject)
	}
	return all, nil
}

// expel ends all that a person can do, and records that they are being erased,
// once, in every audit log that has to do with it.
func (s *Store) expel(ctx context.Context, by mgx.Doer, p person) error {
	return s.act(ctx, by, "user.erase", func(t *tx, a *act) error {
		begun, err := t.exec(`INSERT INTO erasures (subject, begun_by, begun_at) VALUES ($1, $2, $3) ON CONFLICT (subject) DO NOTHING`, string(p.User), by.Actor, micros(t.now))
		if err != nil {
			return err
		}
		if begun > 0 {
			a.resource = string(p.User)
		}
		for _, ws := range p.Workspaces {
			role, err := t.leaveAdmins(ws, p.User, "")
			if mgx.IsCode(err, mgx.CodeNotFound) {
				continue
			}
			if err == nil {
				err = t.removeMember(ws, p.User)
			}
			if err == nil {
				there := by
				there.Workspace = ws
				err = t.audit(there, "member.delete", act{resource: string(p.User), before: map[string]string{"role": role}})
			}
			if err != nil {
				return err
			}
		}
		if _, err := t.exec(`UPDATE api_keys SET revoked_at = COALESCE(revoked_at, $1) WHERE user_id = $2`, micros(t.now), string(p.User)); err != nil {
			return err
		}
		return t.endSessions(p.User, "", "erased")
	})
}

// eraseTraces takes the words out of what the log says of a person.
func (s *Store) eraseTraces(ctx context.Context, by mgx.Doer, p person) error {
	var batch []mgx.Event
	flush := func() error {
		err := s.eraseTogether(ctx, by, string(p.User), batch)
		batch = batch[:0]
		return err
	}
	err := s.eachTrace(ctx, p, func(e mgx.Event) error {
		if batch = append(batch, e); len(batch) < retainBatch {
			return nil
		}
		return flush()
	})
	if err == nil && len(batch) > 0 {
		err = flush()
	}
	return err
}

// eraseTogether takes the words out of events that are in the log, and says in each
// audit log which of its entries those were.
func (s *Store) eraseTogether(ctx context.Context, by mgx.Doer, subject string, all []mgx.Event) error {
	return s.write(ctx, func(t *tx) error {
		t.normalEvent = s.normalEvent
		if err := each(all, t.eraseTrace); err != nil {
			return err
		}
		gone := map[mgx.WorkspaceID]mgx.Spans{}
		for _, e := range all {
			if e.Type == mgx.AuditRecorded {
				gone[e.Workspace] = gone[e.Workspace].With(e.Sequence)
			}
		}
		for _, ws := range slices.Sorted(maps.Keys(gone)) {
			text := mgx.AuditErasure{Workspace: ws, Subject: subject, Entries: gone[ws], Time: t.now}.Text()
			if s.opts.Vouch != nil {
				var err error
				if text, err = s.opts.Vouch(text); err != nil {
					return err
				}
			}
			if err := t.audit(mgx.Doer{Workspace: ws, Actor: by.Actor, Request: by.Request}, "audit.erase", act{resource: subject, erased: text}); err != nil {
				return err
			}
		}
		return nil
	})
}

// eraseTrace takes the words out of one event that is in the log. An audit entry
// keeps what its leaf was made of.
func (t *tx) eraseTrace(e mgx.Event) error {
	data := mgx.Tombstone
	if e.Type == mgx.AuditRecorded {
		var d mgx.AuditData
		if err := e.Decode(&d); err != nil {
			return err
		}
		d.Salt, d.Details = "", nil
		data = json.RawMessage(mustJSON(d))
	}
	had, err := t.dataLength("events", e.Stream, e.Sequence)
	if err != nil {
		return err
	}
	if _, err := t.exec(`UPDATE events SET data = $1 WHERE stream = $2 AND sequence = $3`, string(data), string(e.Stream), e.Sequence); err != nil {
		return err
	}
	if err := t.freed(e.Stream, had-int64(len(data))); err != nil {
		return err
	}
	for _, query := range answers {
		if _, err := t.exec(query+`event = $1`, string(e.ID)); err != nil {
			return err
		}
	}
	return nil
}

// answers empty what was answered when an event was sent on, or went wrong.
var answers = []string{
	`UPDATE webhook_deliveries SET last_error = '' WHERE last_error <> '' AND `,
	`UPDATE webhook_attempts SET error = '', response = '' WHERE `,
	`UPDATE consumer_dead SET last_error = '' WHERE last_error <> '' AND `,
	`UPDATE consumers SET last_error = '' WHERE last_error <> '' AND `,
}

// erasePerson removes the rows of a person.
func (t *tx) erasePerson(p person) error {
	id := string(p.User)
	for _, query := range []string{
		`DELETE FROM kept_answers WHERE actor = $1 OR actor IN (SELECT id FROM api_keys WHERE user_id = $1) OR body LIKE '%' || $1 || '%'
			OR EXISTS (SELECT 1 FROM users u WHERE u.id = $1 AND u.email <> '' AND LOWER(kept_answers.body) LIKE '%' || u.email || '%')`,
		`DELETE FROM session_tokens WHERE session IN (SELECT id FROM sessions WHERE user_id = $1)`,
		`DELETE FROM sessions WHERE user_id = $1`,
		`DELETE FROM api_keys WHERE user_id = $1`,
		`DELETE FROM members WHERE user_id = $1`,
		`DELETE FROM invitations WHERE ` + invitationsOf,
		`DELETE FROM identities WHERE user_id = $1`,
		`DELETE FROM users WHERE id = $1`,
		`UPDATE kept_answers SET status = 0, body = '' WHERE actor = $1 OR body LIKE '%"' || $1 || '"%'`,
	} {
		if _, err := t.exec(query, id); err != nil {
			return err
		}
	}
	_, err := t.exec(`UPDATE erasures SET done_at = $1 WHERE subject = $2`, micros(t.now), id)
	return err
}
