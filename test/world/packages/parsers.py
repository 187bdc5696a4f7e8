# Debian: python3-pyparsing python3-lark python3-ply python3-mistune python3-commonmark python3-toml python3-xmltodict python3-jmespath python3-docopt python3-simplejson
import pyparsing as pp, lark, ply.lex, mistune, commonmark, toml, xmltodict, jmespath, docopt, simplejson
print(pp.infix_notation(pp.Word(pp.nums), [(pp.one_of("+ -"), 2, pp.OpAssoc.LEFT)]).parse_string("1+2-3").as_list())
print(lark.Lark('start: WORD "," WORD\n%import common.WORD\n', parser="lalr").parse("a,b").pretty())
print(mistune.html("**x**") if hasattr(mistune,"html") else mistune.markdown("**x**"), commonmark.commonmark("*y*"), toml.loads("a=1\n[b]\nc='d'"), xmltodict.parse("<a><b>1</b><b>2</b></a>"))
print(jmespath.search("a[?b>`1`].b", {"a":[{"b":1},{"b":2}]}), simplejson.dumps({"a": 1.10}, indent=1), docopt.docopt("Usage: x [--n=N] F", ["--n=2","f"]))
