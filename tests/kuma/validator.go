package main

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// What a control plane knows when a zone proxy connects: static public keys and a revocation secret.
type controlPlane struct {
	keys        map[string]*rsa.PublicKey
	revocations string
	zone        string
	now         time.Time
	parse       parser
}

// What is read out of a token whose signature and dates are good.
type zoneToken struct {
	zone  string
	scope []string
	id    string
}

// A release of golang-jwt with what Kuma puts around it: the keys by kid, and the clock, are the
// control plane's.
type parser func(text string, cp controlPlane) (zoneToken, error)

// Kuma's pkg/xds/auth/callbacks.go and pkg/xds/auth/universal/authenticator.go.
func (cp controlPlane) admit(authorization []string, scope string) error {
	token, err := credential(authorization)
	if err != nil {
		return err
	}
	claims, err := cp.validate(token)
	if err != nil {
		return err
	}
	if !slices.Contains(claims.scope, scope) {
		return fmt.Errorf("%s is out of token's scope: %+v", scope, claims.scope)
	}
	if claims.zone != "" && claims.zone != cp.zone {
		return fmt.Errorf("zone from requestor: %s is different than in token: %s", cp.zone, claims.zone)
	}
	return nil
}

// No header at all is an empty token, which the parser refuses.
func credential(authorization []string) (string, error) {
	switch len(authorization) {
	case 0:
		return "", nil
	case 1:
		return authorization[0], nil
	default:
		return "", fmt.Errorf("request must have exactly 1 \"authorization\" header, got %d", len(authorization))
	}
}

// Kuma's pkg/core/tokens/validator.go and revocations.go.
func (cp controlPlane) validate(text string) (zoneToken, error) {
	token, err := cp.parse(text, cp)
	switch {
	case err != nil:
		return zoneToken{}, err
	case cp.isRevoked(token.id):
		return zoneToken{}, errors.New("token is revoked")
	}
	return token, nil
}

// The header of a token decides which key verifies it.
func (cp controlPlane) keyOf(header map[string]any, algorithm string) (any, error) {
	kid, found := header["kid"]
	if !found {
		return nil, errors.New("JWT token must have kid header")
	}
	// Releases without this check crash here.
	name, isText := kid.(string)
	if !isText {
		return nil, errors.New("JWT token kid header must be a string")
	}
	switch algorithm {
	case "RS256":
		if key := cp.keys[name]; key != nil {
			return key, nil
		}
		return nil, fmt.Errorf("there is no signing key with KID %s", name)
	case "HS256":
		// Only secrets hold keys for it.
		return nil, errors.New("not supported")
	default:
		return nil, fmt.Errorf("unsupported token alg %s", algorithm)
	}
}

// An empty secret revokes nothing; one that is a line feed revokes the empty ID.
func (cp controlPlane) isRevoked(id string) bool {
	if cp.revocations == "" {
		return false
	}
	return slices.Contains(strings.Split(strings.TrimSuffix(cp.revocations, "\n"), ","), id)
}

// Kuma's pkg/util/rsa/pem.go.
func publicKey(text string) (*rsa.PublicKey, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		// Kuma asks for the type of this block, and the process ends.
		return nil, errors.New("no PEM block: kuma-cp crashes")
	}
	switch block.Type {
	case "RSA PUBLIC KEY":
		return x509.ParsePKCS1PublicKey(block.Bytes)
	case "PUBLIC KEY":
		key, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil {
			return nil, err
		}
		rsaKey, ok := key.(*rsa.PublicKey)
		if !ok {
			return nil, errors.New("encoded key is not a RSA key")
		}
		return rsaKey, nil
	default:
		return nil, fmt.Errorf("invalid key encoding %q", block.Type)
	}
}
