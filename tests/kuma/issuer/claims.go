// Package issuer holds the claims of a dataplane token. It has a package of its own, because the texts of
// Go's JSON errors name package and type: these are those of Kuma's pkg/tokens/builtin/issuer/token.go.
package issuer

import "github.com/golang-jwt/jwt/v5"

// DataplaneClaims are what a dataplane token says. Names, types and their order decide what golang-jwt reads.
type DataplaneClaims struct {
	Name     string
	Mesh     string
	Tags     map[string][]string
	Type     string
	Workload string
	jwt.RegisteredClaims
}

// ID is by what the token is revoked.
func (claims *DataplaneClaims) ID() string {
	return claims.RegisteredClaims.ID
}
