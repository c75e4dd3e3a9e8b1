package jose

import "math/big"

// guessable reports whether an RSA modulus has the mark of Infineon's generator
// (CVE-2017-15361, "ROCA"): whoever knows such a key can compute its private
// half. Both its primes are a power of 65537 modulo the product of all small
// primes, and so the modulus is one modulo each of them. A sound key fits with a
// chance far below 2^-100.
//
// The primes are those that the generator takes for the shortest keys that are
// accepted here; for longer keys it takes more.
func guessable(modulus *big.Int) bool {
	var rest, divisor big.Int
	for p := int64(3); p <= 701; p += 2 {
		if !divisor.SetInt64(p).ProbablyPrime(0) {
			continue
		}
		if !isPower(rest.Mod(modulus, &divisor).Int64(), p) {
			return false
		}
	}
	return true
}

// isPower reports whether n is a power of 65537 modulo the prime p.
func isPower(n, p int64) bool {
	for power := int64(1); ; {
		if power == n {
			return true
		}
		if power = power * 65537 % p; power == 1 {
			return false
		}
	}
}
