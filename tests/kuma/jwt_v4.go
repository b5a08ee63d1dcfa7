package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v4"
)

// A control plane of Kuma 2.9 or 2.10, which reads tokens with golang-jwt v4. The rest is as in 2.14.
type zoneTokensV4 struct{ zoneTokens }

// The same claims as ZoneClaims in the package zone.
type zoneClaimsV4 struct {
	Zone  string
	Scope []string
	jwt.RegisteredClaims
}

func (known zoneTokensV4) admit(authorization []string, scope string) error {
	text, err := credential(authorization)
	if err != nil {
		return err
	}
	claims, err := known.parse(text)
	if err != nil {
		return err
	}
	if known.isRevoked(claims.ID) {
		return errors.New("token is revoked")
	}
	return known.allow(claims.Zone, claims.Scope, scope)
}

func (known zoneTokensV4) parse(text string) (*zoneClaimsV4, error) {
	claims := &zoneClaimsV4{}
	// In this release the clock is a variable of the package. Cases are judged one after another.
	jwt.TimeFunc = func() time.Time { return known.now }
	keyOf := func(token *jwt.Token) (any, error) { return known.keyOf(token.Header, token.Method.Alg()) }
	token, err := jwt.ParseWithClaims(text, claims, keyOf)
	switch {
	case err != nil:
		return nil, fmt.Errorf("could not parse token: %w", err)
	case !token.Valid:
		return nil, errors.New("token is not valid")
	}
	return claims, nil
}
