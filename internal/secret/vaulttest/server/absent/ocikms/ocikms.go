// Package ocikms stands in for the one of this import path, with which a server is
// unsealed by a provider. The server of the tests is unsealed by the tests.
package ocikms

import (
	"context"
	"errors"

	wrapping "github.com/hashicorp/go-kms-wrapping/v2"
)

const (
	EnvOciKmsWrapperCryptoEndpoint       = "absent_ocikms_EnvOciKmsWrapperCryptoEndpoint"
	EnvOciKmsWrapperKeyId                = "absent_ocikms_EnvOciKmsWrapperKeyId"
	EnvOciKmsWrapperManagementEndpoint   = "absent_ocikms_EnvOciKmsWrapperManagementEndpoint"
	EnvVaultOciKmsSealCryptoEndpoint     = "absent_ocikms_EnvVaultOciKmsSealCryptoEndpoint"
	EnvVaultOciKmsSealKeyId              = "absent_ocikms_EnvVaultOciKmsSealKeyId"
	EnvVaultOciKmsSealManagementEndpoint = "absent_ocikms_EnvVaultOciKmsSealManagementEndpoint"
	KmsConfigCryptoEndpoint              = "absent_ocikms_KmsConfigCryptoEndpoint"
	KmsConfigKeyId                       = "absent_ocikms_KmsConfigKeyId"
	KmsConfigManagementEndpoint          = "absent_ocikms_KmsConfigManagementEndpoint"
)

// Wrapper wraps nothing.
type Wrapper struct{ wrapping.Wrapper }

func NewWrapper() *Wrapper { return &Wrapper{} }

func (*Wrapper) SetConfig(context.Context, ...wrapping.Option) (*wrapping.WrapperConfig, error) {
	return nil, errors.New("unsealing by ocikms is not in this build")
}
