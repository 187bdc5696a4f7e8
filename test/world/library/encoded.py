"""Text in others' encodings, through files and codecs, and what cannot be read or written."""

import codecs
import csv
import io
import sys

open("l.txt", "w", encoding="latin-1").write("h\xe9")
print(open("l.txt", "rb").read(), open("l.txt", errors="surrogateescape").read().encode("utf-8", "surrogateescape"))
open("u.txt", "w", encoding="utf-16").write("h\u20ac")
print(open("u.txt", "rb").read(), ascii(open("u.txt", encoding="utf-16").read()))
try:
    open("l.txt", encoding="utf-8").read()
except UnicodeDecodeError as error:
    print(error)
for name in "cp1252 shift_jis gb18030 big5 euc_kr koi8-r utf-8-sig idna punycode iso2022_jp cp437 mac_roman utf-7".split():
    try:
        print(name, "a\xe9".encode(name))
    except UnicodeEncodeError as error:
        print(name, error)
print(codecs.encode("abc", "rot13"), sys.getdefaultencoding(), sys.getfilesystemencoding())
try:
    print("\ud800".encode())
except UnicodeEncodeError as error:
    print(error)


class Barred(csv.Dialect):
    delimiter, quotechar, quoting, lineterminator = "|", "'", csv.QUOTE_NONNUMERIC, "\n"


print(csv.Sniffer().sniff("a;b;c\n1;2;3\n4;5;6\n").delimiter)
print(list(csv.reader(io.StringIO('"x;1";"y""q"\n'), delimiter=";")))
try:
    csv.writer(sys.stdout, Barred).writerows([["x", 1], ["y'z", 2]])
except csv.Error as error:
    print(error)
