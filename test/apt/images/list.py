"""Lists everything below a folder, a line of JSON each: path, what lstat says, target, attributes and content; bytes are one character each."""
import errno
import hashlib
import json
import os
import resource
import stat
import sys

KINDS = {stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "symlink", stat.S_IFIFO: "fifo", stat.S_IFCHR: "character", stat.S_IFBLK: "block"}
PART = 1 << 20
ZEROS = bytes(PART)
# what the overlay, or who unpacked without root, keeps for itself
NOTES = ("trusted.overlay.", "user.overlay.", "user.rootlesscontainers")


def text(raw):
    return raw.decode("latin-1")


def content(handle):
    """A hash of what is not zero and where it lies: a hole is read as what it is."""
    found = hashlib.sha256()
    at = 0
    while True:
        try:
            at = os.lseek(handle, at, os.SEEK_DATA)
        except OSError:
            return found.hexdigest()
        at -= at % PART
        part = os.pread(handle, PART, at)
        if not part:
            return found.hexdigest()
        if part != ZEROS[: len(part)]:
            found.update(b"%d " % at + part)
        at += PART


names = {}
lines = []


def xattrs(path):
    found = {}
    try:
        known = os.listxattr(path, follow_symlinks=False)
    except OSError as error:
        if error.errno == errno.ENOTSUP:
            return found
        raise
    for name in known:
        if not name.startswith(NOTES):
            found[text(os.fsencode(name))] = text(os.getxattr(path, name, follow_symlinks=False))
    return dict(sorted(found.items()))


def visit(folder, name, shown):
    # below an open folder, for the whole path may be longer than the kernel takes
    path = b"/proc/self/fd/%d/" % folder + name
    about = os.lstat(path)
    kind = KINDS[stat.S_IFMT(about.st_mode)]
    line = {
        "path": text(shown),
        "kind": kind,
        "mode": oct(stat.S_IMODE(about.st_mode))[2:],
        "owner": "%d:%d" % (about.st_uid, about.st_gid),
        "mtime": about.st_mtime_ns // 1000000000,
        "xattrs": xattrs(path),
    }
    lines.append(line)
    if kind != "directory":
        names.setdefault((about.st_dev, about.st_ino), []).append(line)
    if kind == "symlink":
        line["target"] = text(os.readlink(path))
    if kind in ("character", "block"):
        line["device"] = "%d:%d" % (os.major(about.st_rdev), os.minor(about.st_rdev))
    if kind not in ("file", "directory"):
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        if kind == "file":
            line["size"] = about.st_size
            line["content"] = content(handle)
            return
        for below in sorted(os.fsencode(each) for each in os.listdir(handle)):
            visit(handle, below, os.path.join(shown, below))
    finally:
        os.close(handle)


sys.setrecursionlimit(10000)
resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
visit(os.open(sys.argv[1], os.O_RDONLY), b".", b"")
for group in names.values():
    for line in group:
        if len(group) > 1:
            line["same"] = group[0]["path"]
for line in lines:
    print(json.dumps(line))
