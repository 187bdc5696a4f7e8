/**
 * What a Python script brings along besides itself: it is looked at before anything is searched or signed. Who controls the script: whoever
 * runs it.
 */
import { bytesBlob, type Blob, type SourceEntry } from "./blob.ts";
import { InputError } from "./errors.ts";
import type { JobInput } from "./job.ts";
import type { ProgramKind } from "./runtimes.ts";

type Mount = JobInput["mounts"][number];

/** What a script brings along. */
interface PythonParts {
  mounts: Mount[];
  env: [string, string][];
}

/** Where the script comes from. */
export interface ScriptPlace {
  /** Of a script that is a file: what lies beside it, and the folder that both are in, as it is typed; null: it is none. */
  beside: { found(names: readonly string[]): Promise<string[]>; folder: string } | null;
  /** What Python loads before a script for what WASI lacks, and files beside it. Throws InputError where it is wanted and cannot be had. */
  support(isWanted: boolean, source: string): Promise<{ before: string; beside: readonly SourceEntry[] }>;
  /** Throws InputError where the script says itself what it needs, or is of an older Python, and none of that is brought in. */
  assertBrought(file: string, source: string, brought: readonly SourceEntry[]): void | Promise<void>;
  /** Time zones that the script or what it brings in wants, from the folder of that name; none where neither speaks of any. */
  zones(folder: string, source: string, brought: readonly SourceEntry[]): Promise<SourceEntry[]>;
}

/** What the runtime can import, names that begin with _ apart; held to it by a test. */
export const PYTHON_MODULES: ReadonlySet<string> = new Set(
  `abc aifc argparse array ast asyncio atexit audioop base64 bdb binascii bisect builtins bz2 cProfile calendar cgi cgitb chunk cmath
  cmd code codecs codeop collections colorsys compileall concurrent configparser contextlib contextvars copy copyreg crypt csv
  dataclasses datetime dbm decimal difflib dis doctest email encodings enum errno faulthandler filecmp fileinput fnmatch fractions
  ftplib functools gc genericpath getopt getpass gettext glob graphlib gzip hashlib heapq hmac html http imaplib imghdr importlib
  inspect io ipaddress itertools json keyword linecache locale logging mailbox mailcap marshal math mimetypes modulefinder netrc
  nntplib ntpath nturl2path numbers opcode operator optparse os pathlib pdb pickle pickletools pipes pkgutil platform plistlib poplib
  posix posixpath pprint profile pstats py_compile pyclbr pydoc pyexpat queue quopri random re reprlib runpy sched secrets select
  selectors shelve shlex shutil signal site smtplib sndhdr socket socketserver sqlite3 sre_compile sre_constants sre_parse stat
  statistics string stringprep struct subprocess sunau symtable sys sysconfig tabnanny tarfile telnetlib tempfile textwrap this threading
  time timeit token tokenize tomllib trace traceback tracemalloc types typing unicodedata unittest urllib uuid warnings wave weakref
  wsgiref xml xmlrpc zipapp zipfile zipimport zlib zoneinfo`.split(/\s+/),
);

/** Strings of both kinds and comments, whichever begins first. */
const TEXT = /#[^\n]*|("""|''')(?:\\[\s\S]|(?!\1)[^\\])*\1|"(?:\\[\s\S]|[^"\\\n])*"|'(?:\\[\s\S]|[^'\\\n])*'/g;
/** What begins at the left margin, up to what a colon holds under a condition. */
const AT_MARGIN = /^[A-Za-z_][^:\n]*/gm;
/** What is under this condition runs in each script that is run. */
const MAIN = /^if[ \t]+__name__[ \t]*==[ \t]*"__main__"[ \t]*:[ \t]*\n((?:[ \t]+[^\n]*\n|[ \t]*\n)+)/gm;
const INDENT = /^[ \t]+(?=\S)/m;

/** With the statements of that block at the margin; what is deeper in it stays under its own condition. */
const withMain = (code: string): string =>
  code.replaceAll(MAIN, (_, block: string) => {
    const indent = INDENT.exec(block)?.[0] ?? "";
    return `\n${block
      .split("\n")
      .map((line) => (line.startsWith(indent) ? line.slice(indent.length) : line))
      .join("\n")}`;
  });

/** A part of a module that is there, which cannot be. */
const WITHOUT = /^from[ \t]+concurrent\.futures[ \t]+import\b[^\n]*\bProcessPoolExecutor\b|\bfutures\.ProcessPoolExecutor\b/m;
const PROCESSES = "multiprocessing";
/** How `python3 -m` is run. */
const NAMED = /^runpy\.run_module\("([\w.]+)"/gm;

/** Of statements at the left margin, several on a line too: others are under a condition, or caught. */
export function importsOf(source: string): string[] {
  const plain = withMain(
    `${source}\n`
      .replaceAll(/\r\n?/g, "\n")
      .replaceAll(TEXT, (text) => (text.startsWith("#") ? "" : text.slice(1, -1) === "__main__" ? '"__main__"' : '""'))
      .replaceAll(/\\\n/g, " ")
      .replaceAll(/\([^()]*\)/g, (group) => group.replaceAll("\n", " ")),
  );
  const code = plain.replaceAll(AT_MARGIN, (line) => line.replaceAll(/;[ \t]*/g, "\n"));
  const names = [...code.matchAll(/^import[ \t]+([^\n;]+)|^from[ \t]+([\w.]+)[ \t]+import\b/gm)].flatMap(([, many, one]) =>
    many === undefined ? [one!] : many.split(",").map((each) => each.trim().split(/\s/)[0]!),
  );
  names.push(...[...source.matchAll(NAMED)].map(([, name]) => name!));
  if (WITHOUT.test(code)) names.push(PROCESSES);
  return [...new Set(names.map((name) => name.split(".")[0]!).filter((name) => /^\w+$/.test(name)))];
}

const nameOf = (entry: string): string => entry.slice(entry.lastIndexOf("/") + 1).replace(/\.py$/, "");

/** Nobody looks into an archive on the path of modules, and a script may hand modules to the interpreter itself. */
const ARCHIVE = /\.(?:zip|whl|egg|pyz)\b/;
const MAKES_MODULES = /\bzipimport\b|\bsys\.(?:modules|meta_path|path_hooks)\b/;

/** What CPython's library has elsewhere, and WASI lacks what it needs. */
const IN_IMAGES: ReadonlySet<string> = new Set(
  `ctypes curses ensurepip fcntl grp idlelib lib2to3 lzma mmap multiprocessing pty pwd readline resource ssl syslog termios tkinter tty
  turtle venv`.split(/\s+/),
);

/** Packages of others lie in no image of Python's own, until they are put in. */
function wayOut(missing: readonly string[], file: string): string {
  const image = `run it in an image that has it (xeno run python:3.12 ${file}`;
  if (missing.every((name) => IN_IMAGES.has(name))) return `${image})`;
  const folder = `pip install --target packages, then --dir packages --env PYTHONPATH=/packages`;
  return `bring in pure Python (${folder}), or ${image}, with it installed)`;
}

/** Throws InputError where the script imports what neither the runtime has, nor a folder brings in, nor itself could make. */
async function assertImports(
  { file, path: typed = "" }: Script,
  beside: ScriptPlace["beside"],
  source: string,
  brought: readonly SourceEntry[],
): Promise<void> {
  if (MAKES_MODULES.test(source)) return;
  const isArchived = ARCHIVE.test(source) || ARCHIVE.test(typed);
  const here = new Set([nameOf(file), ...brought.map((entry) => nameOf(entry.path))]);
  // what is Python's own lies in no archive
  const mayLieInOne = (name: string): boolean => isArchived && !IN_IMAGES.has(name);
  const isFound = (name: string): boolean =>
    PYTHON_MODULES.has(name) || here.has(name) || source.includes(`${name}.py`) || mayLieInOne(name);
  const missing = importsOf(source).filter((name) => !name.startsWith("_") && !isFound(name));
  if (missing.length === 0) return;
  const found = (await beside?.found(missing)) ?? [];
  if (beside && found.length === missing.length) {
    const [lies, them] = found.length > 1 ? ["lie", missing.join(", ")] : ["lies", missing[0]];
    throw new InputError(`${file} imports ${them}, which ${lies} beside it: bring that folder in with --dir ${beside.folder}`);
  }
  throw new InputError(`${file} imports ${missing.join(", ")}, which Python on WASI has not: ${wayOut(missing, file)}`);
}

/** What Python loads before a script, also where it is told to look at no variable (`-E`, `-I`). */
const BEFORE_NAME = "sitecustomize.py";
const SITE = "/usr/local/lib/python3.12/site-packages";
/** Standard output is a pipe, which Python would fill before it writes; somebody reads it while the script runs. */
const LINE_BY_LINE = "import sys\nsys.stdout.reconfigure(line_buffering=True)\n";
/** Its C library puts what it is given behind the folder that it was in, `..` too, and loses the way when one of these is gone. */
const WHERE_IT_IS = `import os
def _chdir(change):
    def chdir(path):
        change(path)
        here = os.getcwd()
        real = os.path.realpath(here)
        if real != here:
            change(real)
    return chdir
os.chdir = _chdir(os.chdir)
del _chdir
`;
/** Its library asks only where the system has a call for it; scripts ask, and catch what they are told of a pipe. */
const NO_TERMINAL = `def _get_terminal_size(fd=1, /):
    raise OSError(59, os.strerror(59))
os.get_terminal_size = _get_terminal_size
del _get_terminal_size
`;
const beforeScript = (support: string): Blob => bytesBlob(new TextEncoder().encode(support + WHERE_IT_IS + NO_TERMINAL + LINE_BY_LINE));
const WANTS_SUPPORT = /\b(?:asyncio|concurrent|pbkdf2_hmac)\b/;
const ZONES = "/usr/share/zoneinfo";

/** Whether the place is one of a folder that is brought in, or has such a one in it. */
const isIn = (brought: readonly Mount[], place: string): boolean =>
  brought.some(({ mount }) => `${place}/`.startsWith(`${mount.path}/`) || mount.path.startsWith(`${place}/`));

interface Script {
  /** As messages call it. */
  file: string;
  name: string;
  blob: Blob;
  kind?: ProgramKind | undefined;
  tree?: readonly SourceEntry[] | undefined;
  /** Its folder, as it stands in one that is brought in: modules beside it are found there. */
  folder: string | null;
  /** The path of modules that was typed for it. */
  path?: string | undefined;
}

/** The script and what it needs beside it, looked at with what its folders bring in. */
export async function scriptParts(script: Script, brought: readonly Mount[], place: ScriptPlace): Promise<PythonParts> {
  const { name, blob, folder, kind = name.endsWith(".py") ? "script" : "archive", tree = [] } = script;
  // nobody looks into an archive
  const source = kind === "archive" ? "" : new TextDecoder().decode(await blob.read(0, blob.size));
  const entries = [...brought.flatMap((mount) => [...mount.entries]), ...tree];
  if (script.path === undefined) await place.assertBrought(script.file, source, entries);
  await assertImports(script, place.beside, source, entries);
  const app: SourceEntry[] = tree[0] ? [...tree] : [{ path: name, kind: "file", blob }];
  const mounts: Mount[] = [{ mount: { path: "/app", writable: false, keep: false }, entries: app }];
  const env: [string, string][] = [
    ["HOME", "/tmp"],
    ["PYTHONDONTWRITEBYTECODE", "1"],
  ];
  if (name !== BEFORE_NAME) {
    const { before, beside } = await place.support(
      entries.some((entry) => entry.path.endsWith(".py")) || WANTS_SUPPORT.test(source) || kind === "archive",
      source,
    );
    const loaded: SourceEntry[] = [{ path: BEFORE_NAME, kind: "file", blob: beforeScript(before) }, ...beside];
    const isTaken = isIn(brought, SITE);
    if (isTaken) app.push(...loaded);
    else mounts.push({ mount: { path: SITE, writable: false, keep: false }, entries: loaded });
    const paths = [...(folder === null ? [] : [folder]), ...(isTaken ? ["/app"] : [])];
    if (paths.length > 0) env.push(["PYTHONPATH", paths.join(":")]);
  }
  const zones = isIn(brought, ZONES) ? [] : await place.zones(ZONES, source, entries);
  if (zones.length > 0) {
    mounts.push({ mount: { path: ZONES, writable: false, keep: false }, entries: zones });
    env.push(["PYTHONTZPATH", ZONES]);
  }
  return { mounts, env };
}
