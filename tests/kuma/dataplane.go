package main

import (
	"crypto/rsa"
	"errors"
	"fmt"
	"time"

	"zonegate.invalid/tests/kuma/issuer"
)

// A proxy that opens a stream, and the control plane that it connects to.
type stream struct {
	// Each authorization header.
	Authorization []string `json:"authorization"`
	// "ads" or empty for a discovery stream, "hds" for health discovery, which has only a node id.
	Service string `json:"service"`
	// From the first message's node: its id, and two strings of its metadata.
	NodeID    string  `json:"node_id"`
	ProxyType string  `json:"proxy_type"`
	Resource  *string `json:"resource"`
	// The texts of the resources in the control plane's store.
	Stored []string `json:"stored"`
	// Static public keys: mesh, kid and name of the key, in the order of the configuration.
	Keys [][3]string `json:"keys"`
	// Signing keys in secrets of meshes, in the same form. They are used unless useSecrets is off.
	Secrets    [][3]string `json:"secrets"`
	StaticOnly bool        `json:"static_only"`
	// By mesh, the text of the GlobalSecret dataplane-token-revocations-MESH.
	Revocations map[string]string `json:"revocations"`
	// For zone ingresses and egresses: kid and name of the key, revocations and the zone.
	ZoneKeys        [][2]string `json:"zone_keys"`
	ZoneRevocations string      `json:"zone_revocations"`
	Zone            string      `json:"zone"`
	// Whether a MeshIdentity derives the proxy's identity from its label kuma.io/workload.
	WorkloadIdentity bool `json:"workload_identity"`
	// Seconds and nanoseconds since 1970.
	Now [2]int64 `json:"now"`
}

// The answer for a stream.
type streamAnswer struct {
	Accept bool `json:"accept"`
	// The error as the control plane sends it, with status UNKNOWN (2).
	Error string `json:"error"`
	// The step at which the control plane stopped: resource, credential, token, proxy, node.
	Step string `json:"step"`
	// The proxy as the control plane identifies it.
	Proxy *proxySeen `json:"proxy"`
	// Why the control plane does not use the text of the resource, if there is one; in our words.
	Unused string `json:"unused"`
}

type proxySeen struct {
	// "message" or "store".
	From     string              `json:"from"`
	Type     string              `json:"type"`
	Mesh     string              `json:"mesh"`
	Name     string              `json:"name"`
	Tags     map[string][]string `json:"tags"`
	Workload *string             `json:"workload"`
}

func answerToStream(asked stream, known map[string]*rsa.PublicKey) streamAnswer {
	var answer streamAnswer
	step, err := asked.admit(known, &answer)
	if err != nil {
		answer.Error, answer.Step = err.Error(), step
		return answer
	}
	answer.Accept = true
	return answer
}

// Kuma's pkg/xds/auth/callbacks.go and, for health discovery, pkg/hds/authn/callbacks.go; then the
// validateProxyKey of pkg/xds/server/callbacks/dataplane_lifecycle.go.
func (asked stream) admit(known map[string]*rsa.PublicKey, answer *streamAnswer) (string, error) {
	// Health discovery checks the credential first.
	token, noCredential := credential(asked.Authorization)
	if noCredential != nil {
		noCredential = fmt.Errorf("could not extract credential from DiscoveryRequest: %w", noCredential)
	}
	if asked.Service == "hds" && noCredential != nil {
		return "credential", noCredential
	}
	proxy, from, err := asked.proxy(answer)
	if err != nil {
		return "resource", err
	}
	answer.Proxy = proxy.seen(from)
	if noCredential != nil {
		return "credential", noCredential
	}
	if step, err := asked.authenticate(proxy, token, known); err != nil {
		return step, fmt.Errorf("authentication failed: %w", err)
	}
	if from == "message" {
		return "node", asked.checkNode(proxy)
	}
	return "", nil
}

// Kuma's pkg/xds/auth/universal/authenticator.go.
func (asked stream) authenticate(proxy *resource, token string, known map[string]*rsa.PublicKey) (string, error) {
	switch proxy.meta.Type {
	case "Dataplane":
		claims := &issuer.DataplaneClaims{}
		if err := asked.meshTokens(proxy.meta.Mesh, known).validate(token, claims); err != nil {
			return "token", err
		}
		return "proxy", fits(claims, proxy, asked.WorkloadIdentity)
	case "ZoneIngress":
		return "token", asked.zoneTokens(known).authenticate(token, "ingress")
	default:
		return "token", asked.zoneTokens(known).authenticate(token, "egress")
	}
}

// Kuma's NewDataplaneTokenValidator in pkg/tokens/builtin/components.go: the keys of the mesh, then the keys of no
// mesh. If several have the same kid, the last one counts.
func (asked stream) meshTokens(mesh string, known map[string]*rsa.PublicKey) validator {
	keys := keysOfMesh(asked.Keys, mesh, known)
	for kid, key := range keysOfMesh(asked.Keys, "", known) {
		keys[kid] = key
	}
	tokens := validator{keys: keys, revocations: asked.Revocations[mesh], now: asked.now()}
	if !asked.StaticOnly {
		tokens.secrets = &secretKeys{
			keys:   keysOfMesh(asked.Secrets, mesh, known),
			prefix: "dataplane-token-signing-key-" + mesh,
			mesh:   mesh,
		}
	}
	return tokens
}

func keysOfMesh(triples [][3]string, mesh string, known map[string]*rsa.PublicKey) map[string]*rsa.PublicKey {
	keys := map[string]*rsa.PublicKey{}
	for _, triple := range triples {
		if triple[0] == mesh {
			keys[triple[1]] = known[triple[2]]
		}
	}
	return keys
}

func (asked stream) zoneTokens(known map[string]*rsa.PublicKey) zoneTokens {
	keys := map[string]*rsa.PublicKey{}
	for _, pair := range asked.ZoneKeys {
		keys[pair[0]] = known[pair[1]]
	}
	return zoneTokens{validator{keys: keys, revocations: asked.ZoneRevocations, now: asked.now()}, asked.Zone}
}

func (asked stream) now() time.Time {
	return time.Unix(asked.Now[0], asked.Now[1])
}

// Whether the first message's node is the proxy of its resource. A node without an id is not checked; a later message
// of the stream may then have any id.
func (asked stream) checkNode(proxy *resource) error {
	if asked.NodeID == "" {
		return nil
	}
	key, err := proxyOfNode(asked.NodeID)
	if err != nil {
		return fmt.Errorf("invalid node ID: %w", err)
	}
	if key != (proxyKey{proxy.meta.Mesh, proxy.meta.Name}) {
		return fmt.Errorf("proxyId %s does not match proxy resource %s", key, proxy.meta)
	}
	switch wanted, found := typesOfProxy[asked.ProxyType]; {
	case !found:
		// Kuma continues with a nil resource.
		return errors.New("kuma-cp: nil pointer dereference")
	case wanted != proxy.meta.Type:
		return fmt.Errorf("could not register proxy passed in kuma-dp run: invalid type *v1alpha1.%s for Spec",
			proxy.meta.Type)
	}
	return nil
}
