// Package okta stands in for the one of this import path, eight megabytes of source that
// a server needs for one kind of second factor. Here that cannot be used.
package okta

import (
	"context"
	"errors"
)

var errAbsent = errors.New("Okta's second factor is not in this build")

type (
	Setter        func()
	Configuration struct{ Context context.Context }
	APIClient     struct {
		UserAPI       userAPI
		UserFactorAPI factorAPI
	}
	userAPI   struct{}
	factorAPI struct{}

	User           struct{}
	UserFactorPush struct{}
	Factor         struct{ UserFactorPush *UserFactorPush }
	Verification   struct{ Links any }
	Transaction    struct {
		UserFactorPushTransaction, UserFactorPushTransactionWaiting,
		UserFactorPushTransactionRejected, UserFactorPushTransactionTimeout *struct{}
	}
	Response       struct{}
	request[T any] struct{}
)

func NewConfiguration(...Setter) (*Configuration, error) { return nil, errAbsent }
func WithToken(string) Setter                            { return nil }
func WithOrgUrl(string) Setter                           { return nil }
func WithCache(bool) Setter                              { return nil }
func NewAPIClient(*Configuration) *APIClient             { return &APIClient{} }

func (*APIClient) GetConfig() *Configuration                            { return &Configuration{} }
func (userAPI) ListUsers(context.Context) request[[]User]               { return request[[]User]{} }
func (factorAPI) ListFactors(context.Context, string) request[[]Factor] { return request[[]Factor]{} }

func (factorAPI) VerifyFactor(context.Context, string, string) request[*Verification] {
	return request[*Verification]{}
}

func (factorAPI) GetFactorTransactionStatus(context.Context, string, string, string) request[*Transaction] {
	return request[*Transaction]{}
}
func (r request[T]) Filter(string) request[T]              { return r }
func (request[T]) Execute() (none T, _ *Response, _ error) { return none, nil, errAbsent }
func (User) GetId() string                                 { return "" }
func (*UserFactorPush) GetId() string                      { return "" }
func (*Verification) GetFactorResult() string              { return "" }
