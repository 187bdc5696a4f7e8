/**
 * What Python reads before a script, and what it lacks on WASI, as texts: a program that somebody bundled has no files of ours beside it.
 * They are part of a job, to the byte.
 */

/** The beginning of sitecustomize.py. */
export const BEFORE: string = `"""
Python loads this file before a script: what it lacks on WASI is in _xeno, which is not read before it is asked for.
"""

import sys

_CHANGED = frozenset(("asyncio.selector_events", "concurrent.futures.thread", "hashlib", "http.client", "socket"))


class _Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name not in _CHANGED:
            return None
        import _xeno

        return _xeno.spec_of(name, path, [finder for finder in sys.meta_path if finder is not _Finder])


_show = sys.__excepthook__


def _excepthook(kind, error, trace):
    if isinstance(error, Exception):
        import _xeno

        said = _xeno.way_out(error)
        if said:
            error.add_note(said)
    _show(kind, error, trace)


sys.meta_path.insert(0, _Finder)
# who asks whether it is Python's own (\`code\`) is told that it is
sys.excepthook = sys.__excepthook__ = _excepthook

if sys.argv[0] == "-m" and "zipfile" in sys.orig_argv:
    # that CPython 3.12 warns of itself there (its zipfile imports its own __main__) is nothing to whoever runs it
    import _warnings

    _name = "'zipfile.__main__'"
    _said = f"{_name} found in sys.modules after import of package 'zipfile', but prior to execution of {_name}"
    _warnings.filters.insert(0, ("ignore", f"{_said}; this may result in unpredictable behaviour", RuntimeWarning, None, 0))
    del _name, _said, _warnings
`;

/** The module `_xeno`. */
export const SUPPORT: string = `"""
What Python on WASI lacks of its standard library, as far as one thread without sockets can have it. sitecustomize loads this file when a
script imports one of what is changed here, or ends with an error.

asyncio's loop waits for time alone: what waits for nothing that can come ends in words. The work of a \
ThreadPoolExecutor is done where it is
handed in, one after the other. hashlib has no OpenSSL: keys are made of passwords here, slower. What asks for a \
network gets an OSError that
says what to do, as on a machine without one.
"""

import os
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType

_PACKAGES = "pip install --target packages NAME, then --dir packages --env PYTHONPATH=/packages"


def _in_image(options=""):
    """How the same is run where all of it is there."""
    name = sys.argv[0] if sys.argv else ""
    script = os.path.basename(name) if name.endswith((".py", ".pyz")) else "python3 ..."
    return f"run it in an image that has it (xeno run {options}python:3.12 {script})"


class _After:
    """Loads a module as it is, and then changes it."""

    def __init__(self, loader, change):
        self._loader = loader
        self._change = change

    def create_module(self, spec):
        return self._loader.create_module(spec)

    def exec_module(self, module):
        self._loader.exec_module(module)
        self._change(module)

    def __getattr__(self, name):
        return getattr(self._loader, name)


class _Here:
    """Makes a module of what a function puts into it."""

    def __init__(self, fill):
        self._fill = fill

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        self._fill(module)


def _loop_without_sockets(module):
    import selectors
    import time

    class Selector(selectors._BaseSelectorImpl):
        def select(self, timeout=None):
            if timeout is None:
                raise RuntimeError("asyncio waits for what cannot come: there are no sockets, threads or subprocesses here")
            if timeout > 0:
                time.sleep(timeout)
            return []

    class Loop(module.BaseSelectorEventLoop):
        def __init__(self, selector=None):
            super().__init__(Selector())

        def _make_self_pipe(self):
            pass

        def _close_self_pipe(self):
            pass

        def _write_to_self(self):
            pass

        async def shutdown_default_executor(self, timeout=None):
            self._executor_shutdown_called = True
            if self._default_executor is not None:
                self._default_executor.shutdown()

    module.BaseSelectorEventLoop = Loop


def _executor_without_threads(module):
    from concurrent.futures import _base

    class BrokenThreadPool(_base.BrokenExecutor):
        """An initializer failed."""

    class ThreadPoolExecutor(_base.Executor):
        def __init__(self, max_workers=None, thread_name_prefix="", initializer=None, initargs=()):
            if max_workers is not None and max_workers <= 0:
                raise ValueError("max_workers must be greater than 0")
            if initializer is not None and not callable(initializer):
                raise TypeError("initializer must be a callable")
            self._initialize = None if initializer is None else lambda: initializer(*initargs)
            self._broken = False
            self._over = False

        def submit(self, fn, /, *args, **kwargs):
            if self._over:
                raise RuntimeError("cannot schedule new futures after shutdown")
            self._begin()
            future = _base.Future()
            future.set_running_or_notify_cancel()
            try:
                result = fn(*args, **kwargs)
            except Exception as error:
                future.set_exception(error)
            else:
                future.set_result(result)
            return future

        def _begin(self):
            if self._initialize is not None:
                initialize, self._initialize = self._initialize, None
                try:
                    initialize()
                except Exception:
                    self._broken = True
            if self._broken:
                raise BrokenThreadPool("the initializer failed")

        def shutdown(self, wait=True, *, cancel_futures=False):
            self._over = True

    module.BrokenThreadPool = BrokenThreadPool
    module.ThreadPoolExecutor = ThreadPoolExecutor


def _keys_from_passwords(module):
    def pbkdf2_hmac(hash_name, password, salt, iterations, dklen=None):
        """RFC 8018, 5.2; what OpenSSL does elsewhere."""
        if not isinstance(hash_name, str):
            raise TypeError(hash_name)
        if iterations < 1:
            raise ValueError("iteration value must be greater than 0.")
        if dklen is not None and dklen < 1:
            raise ValueError("key length must be greater than 0.")
        inner, outer = module.new(hash_name), module.new(hash_name)
        size = inner.digest_size
        key = bytes(password)
        if len(key) > inner.block_size:
            key = module.new(hash_name, key).digest()
        key = key.ljust(inner.block_size, b"\\0")
        inner.update(bytes(byte ^ 0x36 for byte in key))
        outer.update(bytes(byte ^ 0x5C for byte in key))

        def mac(message):
            one, two = inner.copy(), outer.copy()
            one.update(message)
            two.update(one.digest())
            return two.digest()

        wanted = size if dklen is None else dklen
        derived = b""
        for block in range(1, -(-wanted // size) + 1):
            last = mac(bytes(salt) + block.to_bytes(4, "big"))
            mixed = int.from_bytes(last, "big")
            for _ in range(iterations - 1):
                last = mac(last)
                mixed ^= int.from_bytes(last, "big")
            derived += mixed.to_bytes(size, "big")
        return derived[:wanted]

    if not hasattr(module, "pbkdf2_hmac"):
        module.pbkdf2_hmac = pbkdf2_hmac


def _network_in_words(module):
    import _socket

    def words(host=None):
        if isinstance(host, (bytes, bytearray)):
            host = host.decode("ascii", "replace")
        return f"no network is in this sandbox: {_in_image(f"--egress {host or "HOST"} ")}"

    def unknown(host=None, *args, **kwargs):
        raise module.gaierror(-4, words(host))

    def unknown_address(address, flags=0):
        raise module.gaierror(-4, words(address[0]))

    begin = module.socket.__init__

    def __init__(self, *args, **kwargs):
        try:
            begin(self, *args, **kwargs)
        except OSError as error:
            if error.errno != 58:
                raise
            raise OSError(error.errno, words()) from None

    module.socket.__init__ = __init__
    _socket.getaddrinfo = unknown
    for name in ("gethostbyname", "gethostbyname_ex", "gethostbyaddr"):
        setattr(module, name, unknown)
    module.getnameinfo = unknown_address
    module.gethostname = lambda: "localhost"


def _connection_without_tls(module):
    """Gets as far as any connection here, so that https:// ends as http:// does."""

    class HTTPSConnection(module.HTTPConnection):
        default_port = 443

        def __init__(self, host, port=None, *args, context=None, **kwargs):
            super().__init__(host, port, *args, **kwargs)

    if not hasattr(module, "HTTPSConnection"):
        module.HTTPSConnection = HTTPSConnection
        module._create_https_context = lambda http_version: None


_CHANGES = {
    "asyncio.selector_events": _loop_without_sockets,
    "hashlib": _keys_from_passwords,
    "http.client": _connection_without_tls,
    "socket": _network_in_words,
}


def spec_of(name, path, finders):
    """Of a module that is changed here."""
    if name == "concurrent.futures.thread":
        return ModuleSpec(name, _Here(_executor_without_threads), origin="xeno")
    for finder in finders:
        spec = finder.find_spec(name, path)
        if spec is not None:
            spec.loader = _After(spec.loader, _CHANGES[name])
            return spec
    return None


_PROCESSES = (
    "chown chroot ctermid execl execle execlp execlpe execv execve execvp execvpe fork forkpty getegid geteuid getgid getgroups getloadavg "
    "getlogin getpgid getpgrp getppid getpriority getuid kill killpg mkfifo mknod nice openpty pipe pipe2 popen posix_spawn posix_spawnp "
    "sched_getaffinity setgid setpgid setpriority setsid setuid spawnl spawnlp spawnv spawnve spawnvp statvfs sysconf system ttyname umask "
    "wait wait3 wait4 waitpid"
)
_LACKING = {
    "os": frozenset(_PROCESSES.split()),
    "signal": frozenset("alarm getitimer pause pthread_kill pthread_sigmask setitimer siginterrupt sigpending sigwait sigwaitinfo".split()),
    "socket": frozenset("create_server fromfd getservbyname getservbyport if_nameindex send_fds sethostname".split()),
    "shutil": frozenset(("chown", "disk_usage")),
}


def _lacks(error):
    """What a script ended for that WASI lacks; None: it ended for something else."""
    if isinstance(error, AttributeError) and isinstance(error.obj, ModuleType):
        module = error.obj.__name__
        return f"{module}.{error.name}" if error.name in _LACKING.get(module, ()) else None
    if isinstance(error, RuntimeError):
        return "threads" if str(error) == "can't start new thread" else None
    if isinstance(error, OSError):
        return "processes" if error.errno == 58 and "processes" in str(error) else None
    return None


def way_out(error):
    """Said once, when a script ends with this error; None where there is nothing to say."""
    if isinstance(error, ModuleNotFoundError) and error.name is not None:
        name = error.name.partition(".")[0]
        if name in sys.modules:
            return None
        is_own = name.lstrip("_") in sys.stdlib_module_names
        return f"Python on WASI has no module {name}: {"" if is_own else f"bring it in ({_PACKAGES}), or "}{_in_image()}"
    lacks = _lacks(error)
    return lacks and f"Python on WASI has no {lacks}: {_in_image()}"
`;
