"""
What Python on WASI lacks of its standard library, as far as one thread without sockets can have it. Python loads this file before a script;
what stands here costs nothing until it is imported.

asyncio's loop waits for time alone: what waits for nothing that can come ends in words. The work of a ThreadPoolExecutor is done where it is
handed in, one after the other. hashlib has no OpenSSL: keys are made of passwords here, slower.
"""

import sys
from importlib.machinery import ModuleSpec


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
        key = key.ljust(inner.block_size, b"\0")
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


_CHANGES = {"asyncio.selector_events": _loop_without_sockets, "hashlib": _keys_from_passwords}


class _Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == "concurrent.futures.thread":
            return ModuleSpec(name, _Here(_executor_without_threads), origin="xeno")
        change = _CHANGES.get(name)
        if change is None:
            return None
        for finder in sys.meta_path:
            if finder is not _Finder:
                spec = finder.find_spec(name, path, target)
                if spec is not None:
                    spec.loader = _After(spec.loader, change)
                    return spec
        return None


sys.meta_path.insert(0, _Finder)
