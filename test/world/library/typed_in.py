import fileinput, getpass, io, os, sys, select
print(sys.stdin.isatty(), sys.stdin.encoding, sys.stdout.isatty())
first = input()
print(repr(first))
rest = [line for line in sys.stdin]
print(rest)
try:
    input("more? ")
except EOFError as error:
    print(error)
print(sys.stdin.read() == "", sys.stdin.buffer.read(), sys.argv[1:], sys.stdin.fileno())
open("in.txt", "w").write("a b\nc\n")
with fileinput.input(["in.txt"], inplace=True) as lines:
    for line in lines: print(line.upper(), end="")
print(open("in.txt").read(), end="")
for line in fileinput.input(["in.txt", "in.txt"]): print(fileinput.filelineno(), fileinput.isfirstline(), line.strip())
print("to stdout", file=sys.stdout, flush=True); print("to stderr", file=sys.stderr); sys.stdout.write("no newline"); print(); print(1, 2, sep="-", end="!\n")
print(*map(str.strip, io.StringIO(" a \n b ")), sep="|")
os.write(1, b"raw\n")
with open(1, "w", closefd=False) as out: out.write("again\n")
