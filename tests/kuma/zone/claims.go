// Package zone holds the claims of a zone token. It is a separate package because the texts of Go's JSON errors name
// package and type; these are the names in Kuma's pkg/tokens/builtin/zone/token.go.
package zone

import "github.com/golang-jwt/jwt/v5"

// ZoneClaims are the claims of a zone token. Names, types and their order decide what golang-jwt reads.
type ZoneClaims struct {
	Zone  string
	Scope []string
	jwt.RegisteredClaims
}

// ID is the identifier that a revocation names.
func (claims *ZoneClaims) ID() string {
	return claims.RegisteredClaims.ID
}
