import errno, importlib, subprocess, os
def told(call):
    try:
        call()
        return True
    except (OSError, AttributeError, ImportError, RuntimeError):
        return True
# these fail without a process or a module, and can be caught: a script goes on without them, as it would where one is missing
print(told(lambda: subprocess.run(["true"], check=False)), told(lambda: subprocess.check_output("true", shell=True)), told(lambda: os.popen("true").read()))
print(all(told(lambda: importlib.import_module(name)) for name in ("curses", "readline", "lzma", "ctypes", "multiprocessing.pool")))
print(subprocess.list2cmdline(["a b", 'c"d']), subprocess.CompletedProcess(["x"], 3).returncode, subprocess.CalledProcessError(2, "x"))
try:
    import resource
except ImportError:
    resource = None
print(resource is None or hasattr(resource, "getrusage"))
