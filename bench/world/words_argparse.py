"""Counts words in files, with options as programs have them."""
import argparse
import collections
import textwrap

parser = argparse.ArgumentParser(prog="words", description="Counts words.")
parser.add_argument("files", nargs="+")
parser.add_argument("-n", "--top", type=int, default=5, metavar="N")
parser.add_argument("--lower", action="store_true")
parser.add_argument("--format", choices=("plain", "wide"), default="plain")
with open("text.txt", "w") as file:
    for i in range(6_000):
        file.write(textwrap.fill(f"Word{i % 83} and word{i * i % 101} meet Word{i % 7} again and again", 40) + "\n")
options = parser.parse_args(["--top", "3", "--lower", "--format=wide", "text.txt"])
counter = collections.Counter()
for name in options.files:
    with open(name) as file:
        for line in file:
            counter.update((line.lower() if options.lower else line).split())
print(options.format, counter.most_common(options.top), parser.format_usage().strip())
