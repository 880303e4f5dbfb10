package guard_test

import (
	"slices"
	"testing"

	"mgx/internal/guard"
)

func TestSecretsFromEnv(t *testing.T) {
	t.Parallel()
	got := guard.SecretsFromEnv([]string{
		"OPENAI_API_KEY=value-01", "GITHUB_TOKEN=value-02", "aws_secret_access_key=value-03", "PGPASSWORD=value-04",
		"NPM_AUTH=value-05", "SSH_PASSPHRASE=value-06", "MYAPIKEY=value-07", "DB_PASS=value-08", "SENTRY_DSN=value-09",
		"GCP_CREDENTIALS_JSON=value-10=with=equals", "GITLAB_PAT=value-11", "MYSQL_PWD=value-12",
		"DATABASE_URL=postgres://me:value-13@db/x", "HTTP_PROXY=http://me:value%2D14@proxy:3128",
		"DUPLICATE_TOKEN=value-02", "SHORT_KEY=1234567",
		"PWD=/home/me/work", "OLDPWD=/home/me/work", "HOME=/home/me/work", "GIT_AUTHOR_NAME=Ada Lovelace",
		"SSH_AUTH_SOCK=/tmp/ssh/agent.1", "KEYBOARD=english-us", "EMPTY_KEY=", "NOVALUE_KEY", "",
	})
	want := []string{
		"value-01", "value-02", "value-03", "value-04", "value-05", "value-06", "value-07", "value-08", "value-09",
		"value-10=with=equals", "value-11", "value-12", "value-13", "value-14",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}
