// Package transit stands in for the one of this import path, with which a server is
// unsealed by a provider. The server of the tests is unsealed by the tests.
package transit

import (
	"context"
	"errors"

	wrapping "github.com/hashicorp/go-kms-wrapping/v2"
)

const (
	EnvTransitWrapperDisableRenewal   = "absent_transit_EnvTransitWrapperDisableRenewal"
	EnvTransitWrapperKeyName          = "absent_transit_EnvTransitWrapperKeyName"
	EnvTransitWrapperMountPath        = "absent_transit_EnvTransitWrapperMountPath"
	EnvVaultTransitSealDisableRenewal = "absent_transit_EnvVaultTransitSealDisableRenewal"
	EnvVaultTransitSealKeyName        = "absent_transit_EnvVaultTransitSealKeyName"
	EnvVaultTransitSealMountPath      = "absent_transit_EnvVaultTransitSealMountPath"
)

// Wrapper wraps nothing.
type Wrapper struct{ wrapping.Wrapper }

func NewWrapper() *Wrapper { return &Wrapper{} }

func (*Wrapper) SetConfig(context.Context, ...wrapping.Option) (*wrapping.WrapperConfig, error) {
	return nil, errors.New("unsealing by transit is not in this build")
}

func WithKeyIdPrefix(any) wrapping.Option { return func() any { return nil } }
