"""Counts primes and says how long it took: a first job for a rented computer."""

import sys
import time

limit = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
started = time.monotonic()
sieve = bytearray([1]) * (limit + 1)
sieve[0:2] = b"\x00\x00"
for n in range(2, int(limit**0.5) + 1):
    if sieve[n]:
        sieve[n * n :: n] = bytes(len(range(n * n, limit + 1, n)))
print(f"{sum(sieve)} primes up to {limit}")
print(f"computed in {time.monotonic() - started:.3f} s by Python {sys.version.split()[0]} on {sys.platform}")
