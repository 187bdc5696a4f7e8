import zlib, bz2, gzip, io, hashlib, binascii, base64, struct, array, heapq, bisect, random, uuid, time, datetime, calendar, zoneinfo
random.seed(1)
print(random.random(), random.sample(range(10), 3), random.gauss(0, 1))
print(zlib.crc32(b'a'), bz2.decompress(bz2.compress(b'b' * 100))[:2], hashlib.blake2b(b'a').hexdigest()[:8], hashlib.sha3_256(b'').hexdigest()[:8], sorted(hashlib.algorithms_guaranteed)[:3])
print(uuid.uuid5(uuid.NAMESPACE_DNS, 'python.org'), uuid.uuid4().version, struct.pack('<iQ', 1, 2), base64.b85encode(b'xx'))
print(datetime.datetime(2024, 2, 29, tzinfo=datetime.timezone.utc).isoformat(), calendar.month(2024, 2), time.strftime('%Y', time.gmtime(0)), time.tzname)
print(datetime.datetime.fromtimestamp(0).isoformat(), time.localtime(0).tm_hour, time.mktime((1970, 1, 1, 0, 0, 0, 0, 0, 0)))
