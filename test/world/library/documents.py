import html, json, plistlib, pprint, textwrap, tomllib, urllib.parse, xml.etree.ElementTree as ET
from html.parser import HTMLParser
class Encoder(json.JSONEncoder):
    def default(self, o): return sorted(o) if isinstance(o, (set, frozenset)) else super().default(o)
value = {"ключ": [1, 2.50, None, True, {"nested": {3, 1}}], "big": 2**70, "s": "tab\t\u2028 \ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16")}
print(json.dumps(value, cls=Encoder, ensure_ascii=False, indent=1, sort_keys=True), json.dumps(value["s"]))
print(json.loads('[1e400, -Infinity, 1.0, "\\u00e9"]', parse_float=str), json.loads('{"a": 1, "a": 2}', object_pairs_hook=list))
for bad in ('{"a":}', "[1,]", "", "'x'", '"\t"'):
    try:
        json.loads(bad)
    except json.JSONDecodeError as error:
        print(error)
print(tomllib.loads(textwrap.dedent("""
    title = "x"
    [owner]
    dob = 1979-05-27T07:32:00-08:00
    ports = [8000, 0x1f, 1_000]
    [[fruit]]
    name = 'apple'
    [fruit.'physical size']
    cm = 3.5
""")))
print(plistlib.dumps({"a": [1, 2.5, True, b"xyz"]}).decode().splitlines()[4:8], plistlib.loads(plistlib.dumps({"k": "v"}, fmt=plistlib.FMT_BINARY)))
tree = ET.fromstring('<r xmlns:x="urn:x"><x:i n="1">a&amp;b</x:i><i n="2"/><!-- c --></r>')
print([(e.tag, e.attrib, e.text) for e in tree.iter()], tree.find("i[@n='2']").get("n"), ET.tostring(tree, encoding="unicode"))
ET.indent(tree)
print(ET.tostring(tree).decode())
try:
    ET.fromstring("<a><b></a>")
except ET.ParseError as error:
    print(error)
class Links(HTMLParser):
    def handle_starttag(self, tag, attrs):
        if tag == "a": print("link", dict(attrs).get("href"))
Links().feed("<p>x <a href='/a?b=1&amp;c'>y</A><br/><a HREF=z>")
print(html.escape("<\"&'>"), html.unescape("&eacute;&#x1F600;&notit;"), urllib.parse.quote("a b/é?"), urllib.parse.parse_qs("a=1&a=2&b=%20+"), urllib.parse.urljoin("http://h/a/b/c", "../d?e"))
pprint.pprint({"list": list(range(30)), "deep": {"a": {"b": ["x" * 30, "y" * 30]}}}, width=60, compact=True)
