package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// The claims of a zone token. Names, types and their order decide what golang-jwt reads, so they are
// those of Kuma's pkg/tokens/builtin/zone/token.go.
type claimsV5 struct {
	Zone  string
	Scope []string
	jwt.RegisteredClaims
}

// Kuma 2.11 and later.
func parseV5(text string, cp controlPlane) (zoneToken, error) {
	claims := &claimsV5{}
	clock := jwt.WithTimeFunc(func() time.Time { return cp.now })
	keyOf := func(token *jwt.Token) (any, error) { return cp.keyOf(token.Header, token.Method.Alg()) }
	token, err := jwt.ParseWithClaims(text, claims, keyOf, clock)
	switch {
	case errors.Is(err, jwt.ErrTokenNotValidYet):
		return zoneToken{}, fmt.Errorf("'valid_from' date is in the future: %w", err)
	case err != nil:
		return zoneToken{}, fmt.Errorf("could not parse token: %w", err)
	case !token.Valid:
		return zoneToken{}, errors.New("token is not valid")
	}
	return zoneToken{zone: claims.Zone, scope: claims.Scope, id: claims.ID}, nil
}
