print('日本語 ünï 😀', '\udcff'.encode('utf-8', 'surrogateescape'))
print(ascii('é'))
import sys
sys.stdout.buffer.write(b'\xff\xfe\n')
print(sys.stdin.buffer.read(3))
print(sys.stdin.readline())
open('ü\xa0.txt', 'w').write('x')
import os
print([n for n in os.listdir('.') if 'ü' in n])
