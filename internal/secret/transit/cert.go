package transit

import (
	"crypto/tls"
	"errors"
	"fmt"
)

// Cert signs in by the certificate that is shown, and again when the token is spent.
type Cert struct {
	Mount string `json:"mount"` // "": cert
	Role  string `json:"role"`  // "": any that takes the certificate
}

// checkClientCert reads the certificate that is shown, so that what is wrong with it is
// said before anything connects.
func (o *Options) checkClientCert(scheme string) error {
	switch {
	case o.ClientCertFile == "" && o.ClientKeyFile == "":
		return nil
	case o.ClientCertFile == "" || o.ClientKeyFile == "":
		return errors.New("client_cert_file and client_key_file go together")
	case scheme != "https":
		return errors.New("a client certificate is shown over https:// alone")
	}
	_, err := o.clientCert()
	return err
}

// clientCert reads the certificate that is shown and its key. They are read whenever
// something connects, as they are short-lived where something renews them.
func (o *Options) clientCert() (*tls.Certificate, error) {
	cert, err := readSmall(o.ClientCertFile)
	if err != nil {
		return nil, fmt.Errorf("client_cert_file %s: %w", o.ClientCertFile, plain(err))
	}
	key, private, err := readPrivately(o.ClientKeyFile)
	switch {
	case err != nil:
		return nil, fmt.Errorf("client_key_file %s: %w", o.ClientKeyFile, plain(err))
	case !private:
		return nil, fmt.Errorf("everybody on this machine can read the key in client_key_file; chmod 600 %s, and replace it if anyone may have read it", o.ClientKeyFile)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("client_cert_file and client_key_file are not a certificate and its key in PEM: %w", err)
	}
	return &pair, nil
}
