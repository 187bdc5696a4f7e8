import tarfile, io, os, zipfile, gzip, bz2, zipapp, runpy, sys, shutil
os.makedirs('t/s', exist_ok=True)
open('t/s/a', 'w').write('a' * 1000)
os.symlink('s/a', 't/l')
for m in ('gz', 'bz2', ''):
    with tarfile.open(f'x.tar', f'w:{m}') as t:
        t.add('t', 't')
    with tarfile.open('x.tar') as t:
        print(t.getnames(), [x.issym() for x in t])
    with tarfile.open('x.tar') as t:
        t.extractall('o' + m, filter='data')
    print(open(f'o{m}/t/l').read()[:3])
print(os.path.basename(shutil.make_archive('zz', 'zip', 't')), zipfile.ZipFile('zz.zip').namelist())
shutil.unpack_archive('zz.zip', 'uz')
print(sorted(os.listdir('uz')))
os.makedirs('program', exist_ok=True)
open('program/__main__.py', 'w').write('import sys\nprint("app", sys.argv[1:])\n')
zipapp.create_archive('program', 'tool.pyz', interpreter='/usr/bin/env python3', compressed=True)
sys.argv[1:] = ['q']
runpy.run_path('tool.pyz', run_name='__main__')
