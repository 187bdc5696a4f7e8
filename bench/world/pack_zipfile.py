"""Packs files into an archive, looks through it, and takes them out again."""
import io
import zipfile

with zipfile.ZipFile("pack.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
    for i in range(300):
        archive.writestr(zipfile.ZipInfo(f"notes/{i % 10}/note{i}.txt", (2025, 1, 1, 0, 0, 0)), f"note {i}\n" * (50 + i), zipfile.ZIP_DEFLATED)
with zipfile.ZipFile("pack.zip") as archive:
    bad = archive.testzip()
    total = sum(info.file_size for info in archive.infolist())
    inner = io.TextIOWrapper(archive.open("notes/7/note7.txt"))
    lines = inner.readlines()
    archive.extract("notes/9/note299.txt", "out")
with open("out/notes/9/note299.txt") as file:
    print(bad, total, len(lines), lines[0].strip(), len(file.read()))
