import fnmatch, glob, os, pathlib, shutil, stat, tempfile
root = pathlib.Path("tree")
for name in ("a/b/c.txt", "a/d.py", "e.py", "a/.hidden", "ü/ñ.txt"):
    p = root / name
    p.parent.mkdir(parents=True, exist_ok=True)
    p.write_text(name, encoding="utf-8")
print(sorted(str(p.relative_to(root)) for p in root.rglob("*")), sorted(p.name for p in root.glob("**/*.py")), sorted(glob.glob("tree/**", recursive=True)))
p = pathlib.PurePosixPath("/usr/lib/x.tar.gz")
print(p.parts, p.stem, p.suffixes, p.with_suffix(".zip"), p.parent.parent, p.is_relative_to("/usr"), p.match("*.gz"), pathlib.PureWindowsPath("C:\\a\\b").as_posix(), p.relative_to("/usr"))
(root / "link").symlink_to("a/d.py"); os.link(root / "e.py", root / "hard.py"); (root / "dangling").symlink_to("nowhere")
print((root / "link").resolve().name, (root / "link").is_symlink(), (root / "hard.py").samefile(root / "e.py"), (root / "e.py").stat().st_nlink, (root / "dangling").exists(), os.path.lexists(root / "dangling"), os.readlink(root / "link"))
shutil.copytree(root, "copy", symlinks=True, ignore=shutil.ignore_patterns("*.py"))
print(sorted(os.path.relpath(os.path.join(d, f), "copy") for d, _, fs in os.walk("copy") for f in fs))
shutil.move("copy/a/b/c.txt", "moved.txt"); os.replace("moved.txt", "again.txt")
print(pathlib.Path("again.txt").read_text(), os.path.getsize("again.txt"), shutil.which("nothing-of-this-name"))
os.utime("again.txt", (1_600_000_000, 1_600_000_001))
st = os.stat("again.txt")
print(st.st_mtime, stat.S_ISREG(st.st_mode), st.st_size, os.path.getmtime("again.txt"))
with open("again.txt", "r+b") as f:
    f.seek(-3, os.SEEK_END); f.write(b"XYZ!"); f.truncate(6); print(f.tell(), f.seek(0), f.read())
with open("append.txt", "a+") as f:
    f.write("one\n"); f.seek(0); print(f.readline(), end="")
try:
    open("append.txt", "x")
except FileExistsError as error:
    print("there already", error.filename)
with tempfile.TemporaryDirectory(prefix="t-") as d:
    fd, name = tempfile.mkstemp(suffix=".dat", dir=d)
    os.write(fd, b"abc"); os.lseek(fd, 0, 0); print(os.read(fd, 2), os.fstat(fd).st_size); os.close(fd)
print(os.path.exists(d), os.path.normpath("a//b/../c/."), os.path.join("a", "/b"), os.path.splitext(".bashrc"), os.path.commonpath(["/a/b", "/a/c"]), os.path.split("a/b/"))
shutil.rmtree(root); print(root.exists())
with os.scandir(".") as entries: print(sorted((e.name, e.is_dir()) for e in entries if e.name != "append.txt"))
