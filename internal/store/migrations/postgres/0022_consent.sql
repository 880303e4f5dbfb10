-- An invitation waits until the person with its address takes it. The address of a
-- person is what their issuer verified at the last sign-in.
ALTER TABLE identities ADD COLUMN email TEXT NOT NULL DEFAULT '';  -- in lower case; '': it verified none
UPDATE identities SET email = COALESCE((SELECT u.email FROM users u WHERE u.id = identities.user_id), '');
ALTER TABLE invitations ADD COLUMN declined_at BIGINT;  -- then it is revoked, too
CREATE INDEX invitations_email ON invitations (email, id) WHERE email <> '';

-- A sign-in under way comes back in what the browser keeps; nobody pushes out another's.
DROP TABLE sign_ins;
