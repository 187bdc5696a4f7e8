"""
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
# who asks whether it is Python's own (`code`) is told that it is
sys.excepthook = sys.__excepthook__ = _excepthook

if sys.argv[0] == "-m" and "zipfile" in sys.orig_argv:
    # that CPython 3.12 warns of itself there (its zipfile imports its own __main__) is nothing to whoever runs it
    import _warnings

    _name = "'zipfile.__main__'"
    _said = f"{_name} found in sys.modules after import of package 'zipfile', but prior to execution of {_name}"
    _warnings.filters.insert(0, ("ignore", f"{_said}; this may result in unpredictable behaviour", RuntimeWarning, None, 0))
    del _name, _said, _warnings
