"""Makes a tree of files, looks through it, renames and removes."""
import shutil
from pathlib import Path, PurePosixPath

root = Path("tree")
for i in range(400):
    folder = root / f"y{i % 4}" / f"m{i % 12:02}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"f{i}.{('txt', 'md', 'log')[i % 3]}").write_text(f"{i}\n" * (i % 30))
sizes = {}
for path in sorted(root.rglob("*")):
    if path.is_file():
        sizes[path.suffix] = sizes.get(path.suffix, 0) + path.stat().st_size
for path in list(root.glob("y1/**/*.log")):
    path.rename(path.with_suffix(".old"))
for path in root.glob("**/*.md"):
    path.unlink()
left = sum(1 for path in root.rglob("*") if path.is_file())
shutil.rmtree(root / "y3")
print(sorted(sizes.items()), left, len(list(root.iterdir())), PurePosixPath("a/../b/./c.tar.gz").suffixes, Path("tree/y0").relative_to(root))
