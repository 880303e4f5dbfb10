// Package alicloudkms stands in for the one of this import path, with which a server is
// unsealed by a provider. The server of the tests is unsealed by the tests.
package alicloudkms

import (
	"context"
	"errors"

	wrapping "github.com/hashicorp/go-kms-wrapping/v2"
)

const (
	EnvAliCloudKmsWrapperKeyId   = "absent_alicloudkms_EnvAliCloudKmsWrapperKeyId"
	EnvVaultAliCloudKmsSealKeyId = "absent_alicloudkms_EnvVaultAliCloudKmsSealKeyId"
)

// Wrapper wraps nothing.
type Wrapper struct{ wrapping.Wrapper }

func NewWrapper() *Wrapper { return &Wrapper{} }

func (*Wrapper) SetConfig(context.Context, ...wrapping.Option) (*wrapping.WrapperConfig, error) {
	return nil, errors.New("unsealing by alicloudkms is not in this build")
}
