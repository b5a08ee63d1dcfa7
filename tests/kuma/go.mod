module zonegate.invalid/tests/kuma

// As Kuma 2.14.3: it decides which keys crypto/rsa takes (GODEBUG rsa1024min).
go 1.26

require (
	github.com/golang-jwt/jwt/v4 v4.5.2
	github.com/golang-jwt/jwt/v5 v5.3.1
)
