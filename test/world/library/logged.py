import logging, logging.handlers, io, json, sys, configparser, contextlib
class Json(logging.Formatter):
    def format(self, record):
        return json.dumps({"level": record.levelname, "text": record.getMessage(), "extra": getattr(record, "user", None), "where": f"{record.module}:{record.funcName}"})
log = logging.getLogger("app.db"); log.setLevel(logging.DEBUG); log.propagate = False
handler = logging.StreamHandler(sys.stdout); handler.setFormatter(Json()); log.addHandler(handler)
log.addFilter(lambda record: "secret" not in record.getMessage())
log.debug("one %s %05.1f", "x", 3.14159); log.info("a secret"); log.warning("who", extra={"user": "ann"})
def f():
    try: {}["k"]
    except KeyError as error: log.error("failed %r", error)
handler.setFormatter(logging.Formatter("{levelname:>8} {name} {message}", style="{")); f()
file = logging.handlers.TimedRotatingFileHandler("t.log", when="S", backupCount=2); log.addHandler(file); log.error("kept"); file.close()
print(open("t.log").read().strip(), logging.getLevelName(35), log.isEnabledFor(5), logging.getLogger("app").getChild("db") is log)
adapter = logging.LoggerAdapter(log, {"id": 7}); adapter.process = lambda msg, kw: (f"[{adapter.extra['id']}] {msg}", kw); adapter.info("adapted")
logging.basicConfig(stream=sys.stdout, format="%(levelname)s:%(message)s", level=logging.INFO, force=True); logging.info("root"); logging.debug("unseen"); logging.captureWarnings(True)
import warnings; warnings.formatwarning = lambda message, *place: f"{message}\n"; warnings.warn("careful"); logging.captureWarnings(False)
c = configparser.ConfigParser(interpolation=configparser.ExtendedInterpolation(), allow_no_value=True)
c.read_string("[a]\nhome = /h\nflag\n[b]\npath: ${a:home}/x\nlist =\n  1\n  2\n; comment\n")
print(c["b"]["path"], c.get("b", "list").split(), c["a"]["flag"], c.has_option("a", "none"), c.getint("a", "n", fallback=5))
for bad in ("[a]\n[a]\n", "x = 1\n", "[a]\nk\n"):
    try:
        configparser.ConfigParser().read_string(bad)
    except configparser.Error as error:
        print(type(error).__name__)
with contextlib.redirect_stdout(io.StringIO()) as held: print("held")
print(repr(held.getvalue()))
