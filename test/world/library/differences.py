import difflib, filecmp, fnmatch, re
old = "one\ntwo\nthree\nfour\n".splitlines(keepends=True)
new = "one\n2\nthree\nfour\nfive\n".splitlines(keepends=True)
print("".join(difflib.unified_diff(old, new, "a.txt", "b.txt", n=1)), "".join(difflib.context_diff(old, new)), "".join(difflib.ndiff(old, new)))
print(difflib.get_close_matches("appel", ["ape", "apple", "peach", "puppy"]), difflib.SequenceMatcher(None, "kitten", "sitting").ratio(), len(difflib.HtmlDiff().make_table(old, new)) > 500)
print("".join(difflib.restore(difflib.ndiff(old, new), 2)) == "".join(new))
open("x", "w").write("1"); open("y", "w").write("1"); open("z", "w").write("2")
print(filecmp.cmp("x", "y", shallow=False), filecmp.cmp("x", "z", shallow=False), fnmatch.filter(["a.py", "b.txt", "C.PY"], "*.py"), fnmatch.translate("a[!b]*.t?t"))
log = "10.0.0.1 - - [30/Nov/2026:05:52:07 +0000] \"GET /a?b=c HTTP/1.1\" 200 512 \"-\" \"curl/8\""
pattern = re.compile(r"""(?P<ip>\S+)\ \S+\ \S+\ \[(?P<at>[^\]]+)\]\ "(?P<verb>[A-Z]+)\ (?P<path>[^ "]*)[^"]*"\ (?P<code>\d{3})\ (?P<size>\d+|-)""", re.VERBOSE)
print(pattern.match(log).groupdict(), re.sub(r"(?i)(\w+)@(\w+)", r"\2 at \1", "me@here ME@THERE"), re.split(r"[,;]\s*", "a, b;c,d"))
print(re.findall(r"(?<=\$)\d+(?!\d|%)", "$12 $34% $5"), re.sub(r"\d+", lambda m: str(int(m[0]) * 2), "1 22 333"), re.fullmatch(r"(a|ab)(c|bcd)(d*)", "abcd").groups(), re.escape("a.b*c"))
print(re.search(r"\bétude\b", "une Étude", re.I), [m.span() for m in re.finditer(r"(?m)^\w", "ab\ncd")], re.sub(r"(?s)<!--.*?-->", "", "x<!-- \n -->y"), re.match(r"(?P<q>['\"]).*?(?P=q)", "'a\"b'")[0])
try:
    re.compile("(unclosed")
except re.error as error:
    print(error)
