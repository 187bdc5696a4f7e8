"""A tool of several commands: what it is asked, its help and its errors, and a loop over what is typed."""

import argparse
import cmd
import contextlib
import io
import sys
import this

parser = argparse.ArgumentParser(prog="tool", description="A tool of several commands, " * 4)
parser.add_argument("--version", action="version", version="%(prog)s 1")
commands = parser.add_subparsers(dest="command", required=True)
adding = commands.add_parser("add", help="adds words")
adding.add_argument("-n", type=int, default=1)
adding.add_argument("words", nargs="+")
commands.add_parser("rm").add_argument("--all", action=argparse.BooleanOptionalAction)
for asked in (["add", "-n", "3", "x"], ["rm", "--no-all"], ["nope"], ["add", "-n", "x", "y"], [], ["-h"], ["--version"]):
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            print(parser.parse_args(asked))
    except SystemExit as ended:
        print(ended.code, said.getvalue())


class Shell(cmd.Cmd):
    prompt = "> "

    def default(self, line):
        print("heard", line)

    def do_EOF(self, _line):
        return True


Shell(stdin=sys.stdin).cmdloop("begin")
print(len(this.s))
