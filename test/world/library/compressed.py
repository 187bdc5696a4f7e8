import bz2, gzip, io, tarfile, zipfile, zlib
text = "".join(f"line {i} of the log\n" for i in range(2000)).encode()
packed = gzip.compress(text, mtime=0)
print(len(text), gzip.decompress(packed) == text, gzip.decompress(packed + gzip.compress(b"more")) == text + b"more", zlib.adler32(text), zlib.crc32(text))
with gzip.open("log.gz", "wt", encoding="utf-8", newline="\n") as f:
    f.write("première\nseconde\n")
with gzip.open("log.gz", "rt", encoding="utf-8") as f:
    print([line.rstrip() for line in f], f.mode if hasattr(f, "mode") else "")
for damaged in (packed[:-4], packed[:10] + b"\0" + packed[11:], b"not gzip at all"):
    try:
        gzip.decompress(damaged)
    except (EOFError, OSError, zlib.error) as error:
        print(type(error).__name__, str(error)[:40])
squeeze = bz2.BZ2Compressor(9)
small = squeeze.compress(text) + squeeze.flush()
print(bz2.decompress(small) == text, small[:4], len(small) < len(text) // 5)
parts = zlib.compressobj(level=9, wbits=-15)
raw = parts.compress(text) + parts.flush()
print(zlib.decompressobj(wbits=-15).decompress(raw) == text)
buffer = io.BytesIO()
with tarfile.open(fileobj=buffer, mode="w:gz", format=tarfile.PAX_FORMAT) as tar:
    info = tarfile.TarInfo("dossier/été.txt")
    info.size, info.mtime, info.mode = 5, 1_700_000_000, 0o640
    tar.addfile(info, io.BytesIO(b"hello"))
buffer.seek(0)
with tarfile.open(fileobj=buffer) as tar:
    for member in tar:
        print(member.name, oct(member.mode), member.mtime, tar.extractfile(member).read())
with zipfile.ZipFile("a.zip", "w", zipfile.ZIP_DEFLATED) as z:
    z.writestr("one.txt", "1" * 1000)
    z.writestr(zipfile.ZipInfo("dir/two.txt", (2026, 1, 2, 3, 4, 6)), b"22", zipfile.ZIP_BZIP2)
    z.comment = b"note"
with zipfile.ZipFile("a.zip") as z:
    print(z.namelist(), z.testzip(), z.comment, [(i.filename, i.date_time, i.compress_type, i.CRC) for i in z.infolist()][1], z.read("dir/two.txt"))
    print([p.name for p in zipfile.Path(z).iterdir()], zipfile.is_zipfile("log.gz"))
