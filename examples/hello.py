"""Greets, and leaves a file behind."""

import sys

name = sys.argv[1] if len(sys.argv) > 1 else "world"
print(f"hello, {name}")
with open("/out/greeting.txt", "w") as file:
    file.write(f"hello, {name}\n")
