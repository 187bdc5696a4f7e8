import base64, binascii, hashlib, hmac, secrets, uuid, zlib, io, quopri
for name in ("md5", "sha1", "sha224", "sha256", "sha384", "sha512", "blake2b", "blake2s", "sha3_224", "sha3_512"):
    print(f"{name:<9}", hashlib.new(name, b"abc").hexdigest()[:40])
print(hashlib.shake_128(b"").hexdigest(8), hashlib.blake2b(b"x", digest_size=8, key=b"k", salt=b"s", person=b"p").hexdigest(), hashlib.scrypt is not None if hasattr(hashlib, "scrypt") else True)
open("big", "wb").write(bytes(range(256)) * 5000)
with open("big", "rb") as f:
    print(hashlib.file_digest(f, "sha256").hexdigest())
print(hmac.new(b"key", b"message", "sha256").hexdigest(), hmac.digest(b"k", b"m", "sha1").hex(), hmac.compare_digest("a", "a"))
print(hashlib.pbkdf2_hmac("sha256", b"password", b"salt", 1000).hex())
print(len(secrets.token_hex(16)), len(secrets.token_urlsafe(16)) >= 22, secrets.choice([7]), 0 <= secrets.randbelow(10) < 10, len(secrets.token_bytes(5)))
print(base64.b64encode(b"\xff\xfe\xfd").decode(), base64.urlsafe_b64encode(b"\xff\xfe\xfd").decode(), base64.b32encode(b"abc"), base64.a85encode(b"hello"), base64.b16decode("4A4b", casefold=True))
try:
    base64.b64decode("a", validate=True)
except binascii.Error as error:
    print(error)
print(binascii.hexlify(b"abc", "-", 2), binascii.crc_hqx(b"abc", 0), quopri.encodestring("é=".encode()), uuid.uuid3(uuid.NAMESPACE_URL, "http://x"), uuid.UUID(int=5).hex, uuid.uuid1().version, uuid.uuid4() != uuid.uuid4())
h = hashlib.sha256(); [h.update(b"a" * n) for n in range(100)]; k = h.copy(); k.update(b"b")
print(h.hexdigest()[:12], k.hexdigest()[:12], h.block_size, h.name)
