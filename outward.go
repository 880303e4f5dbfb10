package mgx

// Ailing says in words what a code means that tells of what MGX stands on: its
// database, its disk, its vault; empty for any other. The words are for people who
// may not be allowed to hear more; the log has the rest: paths, addresses, what the
// system said.
func Ailing(code string) string { return ailing[code] }

var ailing = map[string]string{
	"disk_full":            "the disk is full: writes are refused until there is room again",
	"data_read_only":       "the data cannot be written: writes are refused until it can",
	"disk_error":           "the disk fails: writes are refused while it does",
	"database_corrupt":     "the database is damaged: restore a backup",
	"database_busy":        "another process keeps the database locked",
	"database_unavailable": "the database server cannot be reached: reads and writes are refused until it can",
	"database_refused":     "the database server does not let this server in",
	"nats_unavailable":     "NATS cannot be reached: PostgreSQL carries wake-ups until it can",
	"nats_refused":         "NATS does not let this server in: PostgreSQL carries wake-ups until it does",
	"vault_unreachable":    "HashiCorp Vault cannot be reached: what needs secrets fails until it can",
	"vault_sealed":         "HashiCorp Vault is sealed: what needs secrets fails until it is unsealed",
	"vault_answer":         "what answers in the place of HashiCorp Vault is not it: what needs secrets fails",
	"vault_token":          "HashiCorp Vault does not take the token: what needs secrets fails until there is a new one",
	"vault_refused":        "the policies in HashiCorp Vault do not let this server wrap and unwrap keys",
	"vault_key":            "the key in HashiCorp Vault is not as it must be: what needs secrets fails",
	"database_newer":       "a newer mgx has changed the database: bring this server up to date",
	"database_older":       "the database is that of an older mgx: start this server anew, which brings it up to date",
	"database_unusable":    "the database cannot be used: reads and writes are refused until it can",
	"database_error":       "the database failed; the server's log says how",
}

// Outward is the message for who does not run the installation. It has no path and
// no address of a part of it.
func (e *Error) Outward() string {
	if words := Ailing(e.Code); words != "" {
		return words
	}
	if e.Kind == KindInternal {
		return "an internal error; the server's log tells more"
	}
	return e.Message
}
