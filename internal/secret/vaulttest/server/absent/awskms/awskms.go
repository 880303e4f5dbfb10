// Package awskms stands in for the one of this import path, with which a server is
// unsealed by a provider. The server of the tests is unsealed by the tests.
package awskms

import (
	"context"
	"errors"

	wrapping "github.com/hashicorp/go-kms-wrapping/v2"
)

const (
	EnvAwsKmsWrapperKeyId   = "absent_awskms_EnvAwsKmsWrapperKeyId"
	EnvVaultAwsKmsSealKeyId = "absent_awskms_EnvVaultAwsKmsSealKeyId"
)

// Wrapper wraps nothing.
type Wrapper struct{ wrapping.Wrapper }

func NewWrapper() *Wrapper { return &Wrapper{} }

func (*Wrapper) SetConfig(context.Context, ...wrapping.Option) (*wrapping.WrapperConfig, error) {
	return nil, errors.New("unsealing by awskms is not in this build")
}

func WithDisallowEnvVars(any) wrapping.Option { return func() any { return nil } }

func WithLogger(any) wrapping.Option { return func() any { return nil } }
