import string, sys, unicodedata, codecs, io, locale, stringprep
rows = [("name", "qty", "price"), ("Äpfel", 3, 1.5), ("日本", 1200, 0.333), ("z" * 12, -7, 1e9)]
for a, b, c in rows:
    print(f"|{a:<10.8}|{b:>8}|{c:^14}|")
print(f"{255:#x} {255:#010b} {1234567.891:,.2f} {-5:+d} {0.000012345:.3e} {1/3:.1%} {'mid':*^9} {42!r:>5} {3.0:g} {1e100:n} {2+3j:.1f}")
print("%05d|%-8s|%+.2f|%x|%c|%r|%%|%*d" % (42, "left", 3.14159, 255, "A", "q'q", 6, 7), "{0[a]} {1.real} {2!s:>4}".format({"a": 1}, 5, None))
print(string.Template("$who owes ${what}s, $$5").substitute(who="ann", what="pear"), string.Template("$a $b").safe_substitute(a=1), string.capwords("hello big world"))
print("ß".upper(), "İ".lower().encode(), "ǆ".title(), "ŉ".casefold(), "Straße".casefold() == "STRASSE".casefold(), "e\u0301" == "é", unicodedata.normalize("NFC", "e\u0301") == "é", unicodedata.normalize("NFKD", "ﬁ①"))
print([unicodedata.category(c) for c in "aA1 _€\u0301"], unicodedata.name("☃"), unicodedata.lookup("GREEK SMALL LETTER PI"), unicodedata.east_asian_width("日"), unicodedata.numeric("½"), unicodedata.bidirectional("א"))
print("a\tb".expandtabs(4), "x,y,,z".rsplit(",", 1), "a-b-c".partition("-"), "--x--".strip("-"), "abc".translate(str.maketrans("ab", "12", "c")), "prefix_x".removeprefix("prefix_"), "42".zfill(5), "Hello".swapcase(), "a\r\nb\x0bc\u2028d".splitlines())
for encoding in ("utf-8", "utf-16-le", "latin-1", "cp1252", "ascii", "utf-7", "punycode", "idna", "shift_jis", "gb18030", "koi8-r", "cp437"):
    print(encoding, "é".encode(encoding, "backslashreplace") if encoding != "idna" else "bücher.example".encode("idna"))
print(b"caf\xe9".decode("utf-8", "replace"), b"caf\xe9".decode("utf-8", "surrogateescape").encode("utf-8", "surrogateescape"), "é€".encode("ascii", "xmlcharrefreplace"), "x€".encode("ascii", "namereplace"))
try:
    b"\xff".decode()
except UnicodeDecodeError as error:
    print(error)
decoder = codecs.getincrementaldecoder("utf-8")()
print([decoder.decode(bytes([b])) for b in "é€".encode()], codecs.encode("Hello", "rot13"), codecs.lookup("utf8").name, codecs.BOM_UTF8)
text = io.TextIOWrapper(io.BytesIO("a\r\nb\rc\n".encode()), newline=None)
print(text.readlines(), text.newlines)
open("bom.txt", "w", encoding="utf-8-sig").write("x")
print(open("bom.txt", "rb").read(), open("bom.txt", encoding="utf-8-sig").read())
