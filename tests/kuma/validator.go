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

	"github.com/golang-jwt/jwt/v5"
)

// The keys and revocations of one issuer: of zone tokens, or of the dataplane tokens of one mesh.
type validator struct {
	// Static public keys by kid.
	keys map[string]*rsa.PublicKey
	// Keys in secrets, used after the static ones; nil if they are not used.
	secrets *secretKeys
	// The text of the secret with the revoked IDs.
	revocations string
	now         time.Time
}

// Signing keys in secrets of the control plane.
type secretKeys struct {
	keys map[string]*rsa.PublicKey
	// The prefix of their names.
	prefix string
	// The mesh of the secrets; empty for GlobalSecrets.
	mesh string
}

// Kuma's Claims in pkg/core/tokens/token.go.
type tokenClaims interface {
	jwt.Claims
	ID() string
}

// Kuma's pkg/core/tokens/validator.go and revocations.go, with a store that is not in memory.
func (known validator) validate(text string, claims tokenClaims) error {
	clock := jwt.WithTimeFunc(func() time.Time { return known.now })
	keyOf := func(token *jwt.Token) (any, error) { return known.keyOf(token.Header, token.Method.Alg()) }
	token, err := jwt.ParseWithClaims(text, claims, keyOf, clock)
	var noKey *noSigningKey
	switch {
	case errors.As(err, &noKey):
		return noKey
	case errors.Is(err, jwt.ErrTokenNotValidYet):
		return fmt.Errorf("token is not yet valid: 'valid_from' date is in the future. Check if the system"+
			" clock on the instance that issued the token is set correctly: %w", err)
	case err != nil:
		return fmt.Errorf("could not parse token: %w", err)
	case !token.Valid:
		return errors.New("token is not valid")
	case known.isRevoked(claims.ID()):
		return errors.New("token is revoked")
	}
	return nil
}

// The header of a token decides which key verifies it. Older releases crash if the kid is not a string.
func (known validator) keyOf(header map[string]any, algorithm string) (any, error) {
	kid, found := header["kid"]
	if !found {
		return nil, errors.New("JWT token must have kid header")
	}
	name, isText := kid.(string)
	if !isText {
		return nil, errors.New("JWT token kid header must be a string")
	}
	switch algorithm {
	case jwt.SigningMethodRS256.Alg():
		return known.publicKey(name)
	case jwt.SigningMethodHS256.Alg():
		return nil, known.noLegacyKey()
	default:
		return nil, fmt.Errorf("unsupported token alg %s. Allowed algorithms are %s and %s",
			algorithm, jwt.SigningMethodRS256.Name, jwt.SigningMethodHS256)
	}
}

// The error comes from the source that was asked last.
func (known validator) publicKey(kid string) (any, error) {
	if key := known.keys[kid]; key != nil {
		return key, nil
	}
	if known.secrets == nil {
		return nil, &noSigningKey{kid: kid}
	}
	if key := known.secrets.keys[kid]; key != nil {
		return key, nil
	}
	return nil, &noSigningKey{kid: kid, prefix: known.secrets.prefix, mesh: known.secrets.mesh}
}

// Kuma before 1.4 signed with HS256. No input has a secret with such a key.
func (known validator) noLegacyKey() error {
	if known.secrets == nil {
		return errors.New("not supported")
	}
	return &noSigningKey{kid: "0", prefix: known.secrets.prefix, mesh: known.secrets.mesh}
}

// Kuma's SigningKeyNotFound in pkg/core/tokens/signing_key.go.
type noSigningKey struct {
	kid, prefix, mesh string
}

func (missing *noSigningKey) Error() string {
	secret := missing.prefix + "-" + missing.kid
	if missing.kid == "0" {
		secret = missing.prefix
	}
	place := fmt.Sprintf("Secret of name %q in mesh %q", secret, missing.mesh)
	if missing.mesh == "" {
		place = fmt.Sprintf("GlobalSecret of name %q", secret)
	}
	return fmt.Sprintf("there is no signing key with KID %s. %s is not found. If signing key was rotated,"+
		" regenerate the token", missing.kid, place)
}

// An empty secret revokes nothing. A secret that is only a line feed revokes the empty ID.
func (known validator) isRevoked(id string) bool {
	if known.revocations == "" {
		return false
	}
	return slices.Contains(strings.Split(strings.TrimSuffix(known.revocations, "\n"), ","), id)
}

// Kuma's pkg/util/rsa/pem.go.
func publicKey(text string) (*rsa.PublicKey, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		// Kuma reads the type of this missing block, and the process crashes.
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
