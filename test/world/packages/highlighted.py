# Debian: python3-pygments
from pygments import highlight
from pygments.lexers import PythonLexer, guess_lexer_for_filename
from pygments.formatters import HtmlFormatter, TerminalFormatter
print(highlight("def f(x):\n    return x + 1  # c\n", PythonLexer(), HtmlFormatter()))
print(highlight("int main(){}", guess_lexer_for_filename("a.c", ""), TerminalFormatter()))
