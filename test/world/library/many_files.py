import os, glob, pathlib, time
os.makedirs('w/a/b', exist_ok=True)
for i in range(10000):
    open(f"w/a/{('b/' if i % 2 else '')}f{i}.txt", 'w').close()
n = 0
for d, ds, fs in os.walk('w'):
    n += len(fs)
print(n, len(glob.glob('w/**/*1.txt', recursive=True)), len(list(pathlib.Path('w').rglob('f?.txt'))))
with os.scandir('w/a') as it:
    print(sum((e.is_file() for e in it)), [e.name for e in os.scandir('w')])
import shutil
shutil.rmtree('w')
print(os.path.exists('w'))
