package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"zonegate.invalid/tests/kuma/issuer"
)

// The key of a proxy in the store.
type proxyKey struct {
	mesh, name string
}

// The meaning of node.metadata["dataplane.proxyType"].
var typesOfProxy = map[string]string{
	"":          "Dataplane",
	"dataplane": "Dataplane",
	"ingress":   "ZoneIngress",
	"egress":    "ZoneEgress",
}

// The proxy of the first message, and whether it is from the "message" or from the "store".
func (asked stream) proxy(answer *streamAnswer) (*resource, string, error) {
	if asked.Service == "hds" {
		key, err := proxyOfNode(asked.NodeID)
		if err != nil {
			return nil, "", fmt.Errorf("HDS request must have a valid Proxy Id: %w", err)
		}
		if stored := asked.inStore("Dataplane", key); stored != nil {
			return stored, "store", nil
		}
		return nil, "", errors.New(
			"dataplane not found. Create Dataplane in Kuma CP first or pass it as an argument to kuma-dp")
	}
	// Kuma's pkg/core/xds/metadata.go: a resource that cannot be used is logged and ignored.
	if asked.Resource != nil {
		said, err := resourceOf(*asked.Resource)
		if err == nil {
			return said, "message", nil
		}
		answer.Unused = err.Error()
	}
	return asked.storedProxy()
}

func (asked stream) storedProxy() (*resource, string, error) {
	key, err := proxyOfNode(asked.NodeID)
	if err != nil {
		return nil, "", fmt.Errorf("request must have a valid Proxy ID: %w", err)
	}
	kind, found := typesOfProxy[asked.ProxyType]
	if !found {
		return nil, "", fmt.Errorf("unsupported proxy type %q", asked.ProxyType)
	}
	if stored := asked.inStore(kind, key); stored != nil {
		return stored, "store", nil
	}
	return nil, "", fmt.Errorf("resource %q not found; create a %s in Kuma CP first or pass it as an argument to kuma-dp",
		key.mesh+"."+key.name, kind)
}

func (asked stream) inStore(kind string, key proxyKey) *resource {
	for _, text := range asked.Stored {
		stored, err := resourceOf(text)
		if err != nil {
			panic(fmt.Sprintf("a store cannot have %s: %v", text, err))
		}
		if stored.meta.Type == kind && key == (proxyKey{stored.meta.Mesh, stored.meta.Name}) {
			return stored
		}
	}
	return nil
}

// Kuma's ParseProxyIdFromString in pkg/core/xds/types.go. A mesh may be empty; that of a zone proxy is.
func proxyOfNode(id string) (proxyKey, error) {
	if id == "" {
		return proxyKey{}, errors.New("Envoy ID must not be nil")
	}
	mesh, name, found := strings.Cut(id, ".")
	switch {
	case !found:
		return proxyKey{}, errors.New("the name should be provided after the dot")
	case name == "":
		return proxyKey{}, errors.New("name must not be empty")
	}
	return proxyKey{mesh, name}, nil
}

// Whether a proxy may have a token with these claims. A claim that is empty is not checked.
//
// Kuma's authDataplane in pkg/xds/auth/universal/authenticator.go.
func fits(claims *issuer.DataplaneClaims, proxy *resource, hasWorkloadIdentity bool) error {
	if claims.Name != "" && proxy.meta.Name != claims.Name {
		return fmt.Errorf("proxy name from requestor: %s is different than in token: %s", proxy.meta.Name, claims.Name)
	}
	if claims.Mesh != "" && proxy.meta.Mesh != claims.Mesh {
		return fmt.Errorf("proxy mesh from requestor: %s is different than in token: %s", proxy.meta.Mesh, claims.Mesh)
	}
	if err := fitsTags(claims.Tags, proxy.tags()); err != nil {
		return err
	}
	return fitsWorkload(claims.Workload, proxy, hasWorkloadIdentity)
}

// A tag with an empty list counts as absent: MultiValueTagSetFrom in api/mesh/v1alpha1/dataplane_helpers.go.
func fitsTags(wanted map[string][]string, has map[string]map[string]bool) error {
	for _, tag := range sorted(wanted) {
		if len(wanted[tag]) == 0 {
			continue
		}
		if has[tag] == nil {
			return fmt.Errorf("dataplane has no tag %q required by the token", tag)
		}
		for _, value := range sorted(has[tag]) {
			if !slices.Contains(wanted[tag], value) {
				return fmt.Errorf("dataplane contains tag %q with value %q which is not allowed with this token."+
					" Allowed values in token are %q", tag, value, slices.Compact(slices.Sorted(slices.Values(wanted[tag]))))
			}
		}
	}
	return nil
}

func fitsWorkload(wanted string, proxy *resource, hasWorkloadIdentity bool) error {
	workload, found := proxy.workload()
	switch {
	case wanted == "" && found && hasWorkloadIdentity:
		return fmt.Errorf("dataplane with %q label %q derives its identity from the workload, so it requires a"+
			" workload-bound token", "kuma.io/workload", workload)
	case wanted == "":
		return nil
	case !found:
		return errors.New("dataplane has no workload label required by the token")
	case workload != wanted:
		return fmt.Errorf("dataplane workload %q is not allowed with this token. Allowed workload in token is %q",
			workload, wanted)
	}
	return nil
}

func (known *resource) seen(from string) *proxySeen {
	seen := &proxySeen{From: from, Type: known.meta.Type, Mesh: known.meta.Mesh, Name: known.meta.Name}
	seen.Tags = map[string][]string{}
	for tag, values := range known.tags() {
		seen.Tags[tag] = sorted(values)
	}
	if workload, found := known.workload(); found {
		seen.Workload = &workload
	}
	return seen
}

// Kuma iterates over maps in any order. Here the order is by name, so that the text is always the same.
func sorted[Value any](names map[string]Value) []string {
	all := make([]string, 0, len(names))
	for name := range names {
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}
