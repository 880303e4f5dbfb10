// Package gcpckms stands in for the one of this import path, with which a server is
// unsealed by a provider. The server of the tests is unsealed by the tests.
package gcpckms

import (
	"context"
	"errors"

	wrapping "github.com/hashicorp/go-kms-wrapping/v2"
)

const (
	EnvGcpCkmsWrapperCredsPath   = "absent_gcpckms_EnvGcpCkmsWrapperCredsPath"
	EnvGcpCkmsWrapperCryptoKey   = "absent_gcpckms_EnvGcpCkmsWrapperCryptoKey"
	EnvGcpCkmsWrapperKeyRing     = "absent_gcpckms_EnvGcpCkmsWrapperKeyRing"
	EnvGcpCkmsWrapperLocation    = "absent_gcpckms_EnvGcpCkmsWrapperLocation"
	EnvGcpCkmsWrapperProject     = "absent_gcpckms_EnvGcpCkmsWrapperProject"
	EnvVaultGcpCkmsSealCryptoKey = "absent_gcpckms_EnvVaultGcpCkmsSealCryptoKey"
	EnvVaultGcpCkmsSealKeyRing   = "absent_gcpckms_EnvVaultGcpCkmsSealKeyRing"
)

// Wrapper wraps nothing.
type Wrapper struct{ wrapping.Wrapper }

func NewWrapper() *Wrapper { return &Wrapper{} }

func (*Wrapper) SetConfig(context.Context, ...wrapping.Option) (*wrapping.WrapperConfig, error) {
	return nil, errors.New("unsealing by gcpckms is not in this build")
}
