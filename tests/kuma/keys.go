package main

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/golang-jwt/jwt/v5"
)

// A public key as it stands in a configuration, and a token that it may have signed.
type keyCase struct {
	// The text, or what is taken for one. JSON has it in base64.
	Key   []byte `json:"key"`
	Token string `json:"token"`
}

type keyAnswer struct {
	// Whether a control plane starts with the key, and can verify with it.
	Accept bool `json:"accept"`
	// Whether the token's signature is good.
	Verified bool `json:"verified"`
	// Of the modulus, where there is one.
	Bits  int    `json:"bits"`
	Error string `json:"error"`
}

// In the order of Kuma's pkg/util/rsa/pem.go, then as golang-jwt's RS256 uses the key.
func answerToKey(asked keyCase) keyAnswer {
	key, err := publicKey(string(asked.Key))
	if err != nil {
		return keyAnswer{Error: "load: " + err.Error()}
	}
	if err := canVerify(key); err != nil {
		return keyAnswer{Bits: key.N.BitLen(), Error: "verify: " + err.Error()}
	}
	_, err = jwt.Parse(asked.Token, func(*jwt.Token) (any, error) { return key, nil },
		jwt.WithValidMethods([]string{"RS256"}))
	answer := keyAnswer{Accept: true, Verified: err == nil, Bits: key.N.BitLen()}
	if err != nil {
		answer.Error = err.Error()
	}
	return answer
}

// Whether a signature could be good: with a key that is of no use, the refusal of a bad one is another.
func canVerify(key *rsa.PublicKey) error {
	digest := sha256.Sum256(nil)
	err := rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], make([]byte, key.Size()))
	if errors.Is(err, rsa.ErrVerification) {
		return nil
	}
	return fmt.Errorf("%w (not of the signature)", err)
}
