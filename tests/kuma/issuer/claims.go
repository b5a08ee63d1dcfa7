// Package issuer holds the claims of a dataplane token. It is a separate package because the texts of Go's JSON errors
// name package and type; these are the names in Kuma's pkg/tokens/builtin/issuer/token.go.
package issuer

import "github.com/golang-jwt/jwt/v5"

// DataplaneClaims are the claims of a dataplane token. Names, types and their order decide what golang-jwt reads.
type DataplaneClaims struct {
	Name     string
	Mesh     string
	Tags     map[string][]string
	Type     string
	Workload string
	jwt.RegisteredClaims
}

// ID is the identifier that a revocation names.
func (claims *DataplaneClaims) ID() string {
	return claims.RegisteredClaims.ID
}
