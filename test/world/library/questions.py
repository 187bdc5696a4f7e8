import sys
print(input('name? '))
for line in sys.stdin:
    print('got', line.rstrip())
try:
    input()
except EOFError as e:
    print('EOF', e)
