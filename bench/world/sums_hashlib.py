"""Writes the sums of many pieces, as release pages have them."""
import base64
import hashlib
import hmac

piece = bytes(range(256)) * 256
sums = []
for i in range(24):
    data = i.to_bytes(4, "big") + piece
    sums.append((hashlib.sha256(data).hexdigest(), hashlib.sha512(data).hexdigest()[:16], hashlib.md5(data).hexdigest(), hashlib.blake2b(data, digest_size=16).hexdigest()))
key = hashlib.pbkdf2_hmac("sha256", b"password", b"salt", 2_000)
print(sums[0], sums[-1][0][:16], hmac.new(key, piece, "sha256").hexdigest()[:16], base64.b85encode(key[:8]).decode())
