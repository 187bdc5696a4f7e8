import code, codeop, ast, dis, inspect, traceback, pdb, cmd, shlex, textwrap, string, pprint, reprlib, io, sys

class I(code.InteractiveInterpreter):

    def write(self, text):
        print('shown', text)
i = I({'x': 1})
i.runsource('print(x)')
i.runsource('1/0')
print(ast.unparse(ast.parse('a=1+2')), inspect.getsource(inspect.currentframe())[:11])

class C(cmd.Cmd):

    def do_hi(self, a):
        print('hi', a)

    def do_EOF(self, a):
        return True
C(stdin=io.StringIO('hi a\n'), stdout=sys.stdout).onecmd('hi b')
try:
    raise ValueError('x') from KeyError('y')
except ValueError:
    print(traceback.format_exc().count('direct cause'))
