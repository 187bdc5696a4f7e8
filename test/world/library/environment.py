import errno, gettext, locale, os, platform, sys, sysconfig, atexit, warnings, site
print(os.environ.get("NOWHERE", "unset"), os.environ.get("TZ", "UTC"), sorted(k for k in os.environ if k.startswith("XENO_NO")))
os.environ["OWN"] = "é"
print(os.getenv("OWN"), os.path.expandvars("$OWN/${OWN}x/$NOPE"), os.sep, os.linesep == "\n", os.devnull, os.curdir)
print(locale.setlocale(locale.LC_ALL, "C"), locale.localeconv()["decimal_point"], locale.format_string("%d", 1234567, grouping=True), locale.atof("1.5"), sys.getdefaultencoding(), sys.getfilesystemencoding())
print(gettext.gettext("nothing is translated"), gettext.ngettext("%d file", "%d files", 2) % 2)
print(platform.python_implementation(), sys.version_info.major, sys.byteorder, sys.maxsize > 2**30, sys.float_info.max, hash("") == 0, sys.int_info.bits_per_digit >= 15)
print(errno.errorcode[errno.ENOENT], os.strerror(errno.EEXIST), sys.flags.optimize, __debug__, __name__, bool(sys.executable) or sys.executable == "")
atexit.register(print, "at the end")
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    warnings.warn("old", DeprecationWarning)
    print(caught[0].category.__name__, caught[0].message)
print(os.getpid() > 0, os.cpu_count() is None or os.cpu_count() >= 1, len(os.urandom(16)), os.name, os.path.abspath(".") == os.getcwd())
try:
    open("missing/file.txt")
except FileNotFoundError as error:
    print(error.strerror, error.filename)
try:
    os.mkdir("here"); os.mkdir("here")
except FileExistsError as error:
    print(error.strerror)
for call in (lambda: os.rmdir("nothing"), lambda: os.listdir("x.txt"), lambda: open("here"), lambda: os.remove("here")):
    open("x.txt", "w").close()
    try:
        call()
    except OSError as error:
        print(type(error).__name__, error.strerror)
sys.exit(None)
