import ast, dis, importlib, importlib.util, importlib.resources, inspect, io, keyword, linecache, pkgutil, pyclbr, py_compile, symtable, sys, token, tokenize, runpy, zipfile, compileall
source = "import os\n\nclass A(B):\n    x: int = 1\n    async def f(self, a, *, b=2):\n        return [y async for y in a if (z := y)]\n"
tree = ast.parse(source)
print([type(n).__name__ for n in ast.walk(tree)][:12], ast.unparse(tree), ast.literal_eval("{'a': [1, (2, -3.5e1)], None: {True}}"))
class Renamer(ast.NodeTransformer):
    def visit_Name(self, node): return ast.copy_location(ast.Name(node.id + "_", node.ctx), node)
print(ast.unparse(Renamer().visit(ast.parse("a + b(c)"))), ast.dump(ast.parse("x=1").body[0].targets[0]))
for bad in ("def f(:", "x = = 1", "'abc", "  x\n y", "print 'x'"):
    try:
        compile(bad, "bad.py", "exec")
    except SyntaxError as error:
        print(type(error).__name__, error.lineno)
print([token.tok_name[t.type] for t in tokenize.generate_tokens(io.StringIO("f(x) # c\n").readline)], keyword.iskeyword("async"), keyword.softkwlist[:2])
table = symtable.symtable("def f(a):\n  global g\n  b = a\n", "x", "exec")
print(table.get_children()[0].get_locals(), table.get_children()[0].get_globals())
open("plug.py", "w").write('"""Doc."""\nNAME = __name__\ndef go(x=1): return x + 1\nif NAME == "__main__": print("run as main")\n')
sys.path.insert(0, ".")
import plug
print(plug.NAME, plug.go(), plug.__doc__, inspect.getsource(plug.go).strip(), linecache.getline("plug.py", 2).strip())
open("plug.py", "a").write("def more(): return 'x' * 3\n")
importlib.invalidate_caches(); importlib.reload(plug)
print(plug.more(), runpy.run_path("plug.py", run_name="__main__")["NAME"], [m.name for m in pkgutil.iter_modules(["."])])
spec = importlib.util.spec_from_file_location("other", "plug.py"); module = importlib.util.module_from_spec(spec); spec.loader.exec_module(module)
print(module.NAME, importlib.util.find_spec("nothing_here"), sorted(pyclbr.readmodule_ex("plug", ["."])))
with zipfile.ZipFile("lib.zip", "w") as z:
    z.writestr("zipped/__init__.py", "from .part import v"); z.writestr("zipped/part.py", "v = __file__"); z.writestr("zipped/data.txt", "data")
sys.path.insert(0, "lib.zip")
import zipped
print(zipped.v, importlib.resources.files("zipped").joinpath("data.txt").read_text())
ns = {}
exec("def g(n):\n  return n if n < 2 else g(n - 1) + g(n - 2)", ns)
print(ns["g"](15), eval("sum(x for x in range(5))"), eval("a + 1", {"a": 2}))
