// Package azurekeyvault stands in for the one of this import path, with which a server is
// unsealed by a provider. The server of the tests is unsealed by the tests.
package azurekeyvault

import (
	"context"
	"errors"

	wrapping "github.com/hashicorp/go-kms-wrapping/v2"
)

const (
	EnvAzureKeyVaultWrapperKeyName   = "absent_azurekeyvault_EnvAzureKeyVaultWrapperKeyName"
	EnvAzureKeyVaultWrapperVaultName = "absent_azurekeyvault_EnvAzureKeyVaultWrapperVaultName"
	EnvVaultAzureKeyVaultKeyName     = "absent_azurekeyvault_EnvVaultAzureKeyVaultKeyName"
	EnvVaultAzureKeyVaultVaultName   = "absent_azurekeyvault_EnvVaultAzureKeyVaultVaultName"
)

// Wrapper wraps nothing.
type Wrapper struct{ wrapping.Wrapper }

func NewWrapper() *Wrapper { return &Wrapper{} }

func (*Wrapper) SetConfig(context.Context, ...wrapping.Option) (*wrapping.WrapperConfig, error) {
	return nil, errors.New("unsealing by azurekeyvault is not in this build")
}

func WithDisallowEnvVars(any) wrapping.Option { return func() any { return nil } }
