package main

import (
	"fmt"
	"slices"

	"zonegate.invalid/tests/kuma/zone"
)

// The control plane's data for judging a zone proxy.
type zoneTokens struct {
	validator
	// The zone of the control plane.
	zone string
}

// Kuma's pkg/xds/auth/callbacks.go.
func (known zoneTokens) admit(authorization []string, scope string) error {
	token, err := credential(authorization)
	if err != nil {
		return fmt.Errorf("could not extract credential from DiscoveryRequest: %w", err)
	}
	if err := known.authenticate(token, scope); err != nil {
		return fmt.Errorf("authentication failed: %w", err)
	}
	return nil
}

// Kuma's authZoneEntity in pkg/xds/auth/universal/authenticator.go.
func (known zoneTokens) authenticate(token, scope string) error {
	claims := &zone.ZoneClaims{}
	if err := known.validate(token, claims); err != nil {
		return err
	}
	return known.allow(claims.Zone, claims.Scope, scope)
}

// Compares the claims of a token with what is needed.
func (known zoneTokens) allow(zone string, scopes []string, scope string) error {
	if !slices.Contains(scopes, scope) {
		return fmt.Errorf("token cannot be used to authenticate zone entity (%s is out of token's scope: %+v)",
			scope, scopes)
	}
	if zone != "" && zone != known.zone {
		return fmt.Errorf("zone from requestor: %s is different than in token: %s", known.zone, zone)
	}
	return nil
}

// No header counts as an empty token, which the parser refuses.
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
