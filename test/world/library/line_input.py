import fileinput, sys
open('a1', 'w').write('x\ny\n')
open('a2', 'w').write('z\n')
with fileinput.input(files=('a1', 'a2')) as f:
    for line in f:
        print(f.filename(), f.filelineno(), f.lineno(), line.strip())
with fileinput.input('a1', inplace=True, backup='.bak') as f:
    for line in f:
        print(line.upper(), end='')
print(open('a1').read(), open('a1.bak').read())
