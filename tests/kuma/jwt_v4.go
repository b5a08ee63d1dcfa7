package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v4"
)

// As claimsV5.
type claimsV4 struct {
	Zone  string
	Scope []string
	jwt.RegisteredClaims
}

// Kuma 2.9 and 2.10.
func parseV4(text string, cp controlPlane) (zoneToken, error) {
	claims := &claimsV4{}
	// The clock of this release is a variable of its package; cases are judged one after another.
	jwt.TimeFunc = func() time.Time { return cp.now }
	keyOf := func(token *jwt.Token) (any, error) { return cp.keyOf(token.Header, token.Method.Alg()) }
	token, err := jwt.ParseWithClaims(text, claims, keyOf)
	switch {
	case err != nil:
		return zoneToken{}, fmt.Errorf("could not parse token: %w", err)
	case !token.Valid:
		return zoneToken{}, errors.New("token is not valid")
	}
	return zoneToken{zone: claims.Zone, scope: claims.Scope, id: claims.ID}, nil
}
