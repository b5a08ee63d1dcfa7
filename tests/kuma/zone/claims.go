// Package zone holds the claims of a zone token. It has a package of its own, because the texts of Go's JSON
// errors name package and type: these are those of Kuma's pkg/tokens/builtin/zone/token.go.
package zone

import "github.com/golang-jwt/jwt/v5"

// ZoneClaims are what a zone token says. Names, types and their order decide what golang-jwt reads.
type ZoneClaims struct {
	Zone  string
	Scope []string
	jwt.RegisteredClaims
}

// ID is by what the token is revoked.
func (claims *ZoneClaims) ID() string {
	return claims.RegisteredClaims.ID
}
