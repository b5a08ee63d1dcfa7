// Answers whether a Kuma control plane would accept a proxy, case by case.
//
// It uses the real golang-jwt, and the readers of JSON, YAML and protobuf, in the versions that Kuma 2.14.3 requires,
// under a validator written after Kuma's (see validator.go). Building it does not need Kuma's own Go module.
//
// In: JSON lines on standard input. The first holds the public keys by name, {"keys":{"a":"PEM"}}; each other line is a
// case. Out: a line for each case, in order, {"accept":false,"error":"..."}.
//
// With the argument "v4" the golang-jwt of Kuma 2.9 and 2.10 judges the cases (see jwt_v4.go).
//
// With the argument "streams" each case is the opening of a stream by any proxy, with a dataplane token or a zone token
// (see dataplane.go). With the argument "keys" each line is a key instead (see keys.go), and the answer says whether it
// can be used.
package main

import (
	"bufio"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"
)

// A proxy that connects, and the control plane that it connects to.
type connection struct {
	// Each authorization header.
	Authorization []string `json:"authorization"`
	// Pairs of kid and name of the key, in the order of the configuration.
	Keys [][2]string `json:"keys"`
	// The text of the secret zone-token-revocations.
	Revocations string `json:"revocations"`
	// Seconds and nanoseconds since 1970.
	Now [2]int64 `json:"now"`
	// The scope that the proxy needs.
	Scope string `json:"scope"`
	// The zone of the control plane.
	Zone string `json:"zone"`
}

type answer struct {
	Accept bool   `json:"accept"`
	Error  string `json:"error"`
}

func main() {
	mode := ""
	if len(os.Args) > 1 {
		mode = os.Args[1]
	}
	serve, found := map[string]func(io.Reader, io.Writer) error{
		"":        serveCases(answerTo),
		"v4":      serveCases(answerToV4),
		"streams": serveCases(answerToStream),
		"keys":    serveKeys,
	}[mode]
	if !found {
		serve = func(io.Reader, io.Writer) error { return fmt.Errorf("unknown mode %q", mode) }
	}
	if err := serve(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "kuma:", err)
		os.Exit(1)
	}
}

// Reads the keys, then the cases.
func serveCases[Case, Answer any](
	answerTo func(Case, map[string]*rsa.PublicKey) Answer,
) func(io.Reader, io.Writer) error {
	return func(in io.Reader, out io.Writer) error {
		lines := json.NewDecoder(bufio.NewReaderSize(in, 1<<20))
		// Without this, a misspelled name would silently make a case a plain one.
		lines.DisallowUnknownFields()
		known, err := readKeys(lines)
		if err != nil {
			return err
		}
		return answerAll(lines, out, func(asked Case) Answer { return answerTo(asked, known) })
	}
}

func readKeys(lines *json.Decoder) (map[string]*rsa.PublicKey, error) {
	var first struct {
		Keys map[string]string `json:"keys"`
	}
	if err := lines.Decode(&first); err != nil {
		return nil, fmt.Errorf("reading the keys: %w", err)
	}
	known := map[string]*rsa.PublicKey{}
	for name, text := range first.Keys {
		key, err := publicKey(text)
		if err != nil {
			return nil, fmt.Errorf("key %q: %w", name, err)
		}
		known[name] = key
	}
	return known, nil
}

func serveKeys(in io.Reader, out io.Writer) error {
	return answerAll(json.NewDecoder(bufio.NewReaderSize(in, 1<<20)), out, answerToKey)
}

func answerAll[Case, Answer any](lines *json.Decoder, out io.Writer, answerTo func(Case) Answer) error {
	answers := bufio.NewWriter(out)
	encoder := json.NewEncoder(answers)
	for lines.More() {
		var asked Case
		if err := lines.Decode(&asked); err != nil {
			return fmt.Errorf("reading a case: %w", err)
		}
		if err := encoder.Encode(answerTo(asked)); err != nil {
			return err
		}
		// The other side waits for this line before it sends more.
		if err := answers.Flush(); err != nil {
			return err
		}
	}
	return nil
}

func answerTo(asked connection, known map[string]*rsa.PublicKey) answer {
	return answerOf(asked.tokens(known).admit(asked.Authorization, asked.Scope))
}

func answerToV4(asked connection, known map[string]*rsa.PublicKey) answer {
	return answerOf(zoneTokensV4{asked.tokens(known)}.admit(asked.Authorization, asked.Scope))
}

func answerOf(err error) answer {
	if err != nil {
		return answer{Error: err.Error()}
	}
	return answer{Accept: true}
}

func (asked connection) tokens(known map[string]*rsa.PublicKey) zoneTokens {
	keys := map[string]*rsa.PublicKey{}
	// If several keys have the same kid, the last one counts.
	for _, pair := range asked.Keys {
		keys[pair[0]] = known[pair[1]]
	}
	now := time.Unix(asked.Now[0], asked.Now[1])
	return zoneTokens{validator{keys: keys, revocations: asked.Revocations, now: now}, asked.Zone}
}
