"""What a strategy's files may not use while they are read: names of modules and of things in them, with the words for
whoever used them. What only shows when it runs, `onetape check` finds by running it."""

from adapters.strategies.refused import IMPURE

_PROGRAM = "a strategy starts no other program, which may say another thing each time"
_NETWORK = "a strategy asks no other machine, which may say another thing each time"
_BESIDE = "a strategy does nothing beside its calls: what runs at another time decides differently each time"
_MEMORY = "a strategy looks at no memory but its own: what is there is another thing each time, or still to come"
_INSIDE = "of Onetape a strategy imports `onetape`: what is behind it reads tapes, and so may know what is to come"
_HIDDEN = "what it does cannot be seen before it runs"
_ENVIRONMENT = IMPURE["os"]
_IMPORT = "write `import` at the top of the file, so that what it uses can be seen"
_DIFFERS = "it differs from run to run"

MODULES = {  # nothing of these may be used
    **dict.fromkeys(("random", "secrets", "uuid", "numpy.random"), IMPURE["random"]),
    "time": IMPURE["time"],
    **dict.fromkeys(("subprocess", "multiprocessing", "pty", "concurrent"), _PROGRAM),
    **dict.fromkeys(("threading", "_thread", "signal", "atexit", "sched", "asyncio", "weakref"), _BESIDE),
    **dict.fromkeys(("socket", "socketserver", "ssl", "urllib.request", "http.client", "http.server"), _NETWORK),
    **dict.fromkeys(("ftplib", "smtplib", "poplib", "imaplib", "xmlrpc", "webbrowser"), _NETWORK),
    **dict.fromkeys(("requests", "httpx", "aiohttp", "urllib3", "websocket", "websockets", "zmq", "grpc"), _NETWORK),
    **dict.fromkeys(("yfinance", "boto3", "paramiko"), _NETWORK),
    **dict.fromkeys(("ctypes", "_ctypes", "mmap", "gc", "inspect", "tracemalloc", "numpy.ctypeslib"), _MEMORY),
    **dict.fromkeys(("platform", "glob", "getpass", "pwd", "resource", "psutil", "locale"), _ENVIRONMENT),
    "tempfile": "a strategy needs no temporary file, whose name is another each time",
    "importlib": _IMPORT,
    "runpy": _IMPORT,
}
INSIDE = dict.fromkeys(("adapters", "api", "projections", "migrations"), _INSIDE)  # not even imported
BUILTINS = {
    "hash": _DIFFERS,
    "id": _DIFFERS,
    "input": "a strategy asks nobody",
    "__import__": _IMPORT,
    "eval": _HIDDEN,
    "exec": _HIDDEN,
    "globals": _HIDDEN,
    "__builtins__": _HIDDEN,
}
THINGS = {  # module: things in it
    "os": (
        *("environ", "environb", "getenv", "getenvb", "urandom", "getpid", "getppid", "times", "getcwd", "getlogin"),
        *("system", "popen", "listdir", "scandir", "walk", "stat", "fork", "posix_spawn"),
    ),
    "os.path": ("getmtime", "getatime", "getctime"),
    "sys": (
        *("argv", "stdin", "flags", "modules", "_getframe", "_current_frames", "settrace", "setprofile", "gettrace"),
        *("meta_path", "path_hooks", "getrefcount", "addaudithook", "hash_info"),
    ),
}
WORDS = {"os": _ENVIRONMENT, "os.path": _ENVIRONMENT, "sys": _ENVIRONMENT}
INNER = dict.fromkeys(  # attributes of anything
    ("__globals__", "__builtins__", "__subclasses__", "__code__", "__closure__", "f_globals", "f_back", "__dict__"),
    "a strategy looks only at what it declares and imports",
) | {"__hash__": _DIFFERS}
METHODS = dict.fromkeys(("stat", "lstat", "iterdir", "glob", "rglob", "cwd"), _ENVIRONMENT)  # of paths
NOW = ("now", "utcnow", "today")


def why_not(full: str) -> str | None:
    """The words for a full name that is a clock's, dice's, memory's or the environment's; None for any other."""
    home, _, last = full.rpartition(".")
    if home in ("random", "numpy.random") or home in MODULES:
        return MODULES[home]
    inside = next((why for part, why in MODULES.items() if home.startswith(f"{part}.")), None)
    if inside is not None:
        return inside
    if home.startswith("datetime") and last in NOW:
        return IMPURE["datetime"]
    if home == "builtins":
        return BUILTINS.get(last)
    if full == "numpy.memmap":
        return _MEMORY
    return WORDS[home] if last in THINGS.get(home, ()) else None
