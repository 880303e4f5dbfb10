package guard_test

import (
	"slices"
	"testing"

	"mgx/internal/guard"
)

func TestCommonplaceIn(t *testing.T) {
	t.Parallel()
	got := guard.CommonplaceIn([]string{
		"X_TOKEN=workspace_id", "API_KEY=sk-lab-0123456789", "SHORT_KEY=none", "HOME=workspace_id", "EMPTY_KEY=", "NOVALUE_KEY",
		"DATABASE_URL=postgres://mgx:postgres@db/x", "X_TOKEN=production",
	})
	if want := []string{"DATABASE_URL", "X_TOKEN"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestSecretsFromEnv(t *testing.T) {
	t.Parallel()
	got := guard.SecretsFromEnv([]string{
		"OPENAI_API_KEY=value-01", "GITHUB_TOKEN=value-02", "aws_secret_access_key=value-03", "PGPASSWORD=value-04",
		"NPM_AUTH=value-05", "SSH_PASSPHRASE=value-06", "MYAPIKEY=value-07", "DB_PASS=value-08", "SENTRY_DSN=value-09",
		"GCP_CREDENTIALS_JSON=value-10=with=equals", "GITLAB_PAT=value-11", "MYSQL_PWD=value-12",
		"DATABASE_URL=postgres://me:value-13@db/x", "HTTP_PROXY=http://me:value%2D14@proxy:3128",
		"DUPLICATE_TOKEN=value-02", "SHORT_KEY=1234567",
		"PWD=/home/me/work", "OLDPWD=/home/me/work", "HOME=/home/me/work", "GIT_AUTHOR_NAME=Ada Lovelace",
		"NATS_URL=nats://a:value-15@one:4222, nats://value-16@two:4222", "OTEL_EXPORTER_OTLP_HEADERS=x-api-key=value-17,authorization=Bearer%20value-18,tenant=acme-production",
		"SAS=https://store.example/x?se=2030-01-01&sig=abc&access_token=value-19", "REMOTE=https://value-20@git.example/x.git", "PG=host=db user=someone-long password=value-21 dbname=x",
		"JAVA_OPTS=-Xmx1g -Dstore.password=value-22 --api-key=value-23", "DB=postgres://somebody-long@db/x?sslpassword=value%2D24", "HDRS=Authorization=Basic value-25",
		"LS_COLORS=*.key=00;38;5;100", "CFLAGS=-DNAME=long-value", "URL=https://example.org/?page=many-of-them#x", "LIST=a=long-value,b=long-value",
		"SSH_AUTH_SOCK=/tmp/ssh/agent.1", "KEYBOARD=english-us", "EMPTY_KEY=", "NOVALUE_KEY", "",
	})
	want := []string{
		"Basic value-25", "Bearer value-18", "Bearer%20value-18", "value%2D14", "value%2D24",
		"value-01", "value-02", "value-03", "value-04", "value-05", "value-06", "value-07", "value-08", "value-09",
		"value-10=with=equals", "value-11", "value-12", "value-13", "value-14",
		"value-15", "value-16", "value-17", "value-18", "value-19", "value-20", "value-21", "value-22", "value-23", "value-24", "value-25",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}
