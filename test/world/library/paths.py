from pathlib import Path
import os
p = Path('pp')
p.mkdir(exist_ok=True)
(p / 'a.txt').write_text('é\n', encoding='utf-8')
print((p / 'a.txt').read_bytes(), (p / 'a.txt').stat().st_size, sorted((x.name for x in p.iterdir())), (p / 'a.txt').exists(), p.is_dir())
(p / 'a.txt').rename(p / 'b.txt')
(p / 'l').symlink_to('b.txt')
print((p / 'l').resolve().name, (p / 'l').is_symlink(), os.readlink(p / 'l'))
(p / 'b.txt').touch()
(p / 'b.txt').unlink()
print(list(p.glob('*')), (p / 'l').exists())
try:
    (p / 'zz').read_text()
except FileNotFoundError as e:
    print(e.filename, e.strerror)
try:
    p.rmdir()
except OSError as e:
    print(e.strerror)
try:
    os.open(p, os.O_WRONLY)
except IsADirectoryError as e:
    print(e.strerror)
try:
    (p / 'l').mkdir()
except FileExistsError as e:
    print(e.strerror)
print(Path.home() is not None, Path('a/../b').absolute().name)
os.utime(p, (1, 2))
print(os.stat(p).st_mtime)
f = os.open('pp/x', os.O_RDWR | os.O_CREAT | os.O_EXCL)
os.write(f, b'abcdef')
os.lseek(f, 2, 0)
print(os.read(f, 2), os.fstat(f).st_size)
os.ftruncate(f, 3)
os.fsync(f)
os.close(f)
print(os.path.getsize('pp/x'))
print(os.access('pp/x', os.R_OK), os.path.samefile('pp/x', 'pp/../pp/x'))
os.link('pp/x', 'pp/y')
print(os.stat('pp/y').st_nlink)
os.replace('pp/y', 'pp/x2')
os.removedirs
try:
    os.chmod('pp/x', 384)
    print('chmod')
except OSError as e:
    print('chmod', e.strerror)
