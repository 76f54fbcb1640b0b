"""Functions in the user's Python files, imported only if the user names them.

A run folder that names such a file does not run it.
"""

import ast
import importlib.util
import sys
from collections.abc import Callable
from filecmp import cmp
from pathlib import Path
from typing import Any

from seq2seq_cli.errors import ConfigurationError

CALLBACK = "--callback"
"""The option that names custom callbacks; messages about them begin with it."""


def names_function(name: str) -> bool:
    """Return whether a task's name is that of a function in a file, path/to/file.py:function.

    A file without its function counts too, so that loading it says what is missing.
    """
    return ".py:" in name or name.endswith(".py")


def same_function(name: str, other: str) -> bool:
    """Return whether two names mean the same task, possibly in a file that has moved.

    A function is the same if its name is, and its file has the same content or is gone.
    """
    (file, _, function), (other_file, _, other_function) = (
        each.rpartition(":") for each in (name, other)
    )
    if name == other or not file or not other_file or function != other_function:
        return name == other
    files = Path(file), Path(other_file)
    return not all(path.is_file() for path in files) or cmp(*files, shallow=False)


def check_function(kind: str, name: str) -> None:
    """Raise ConfigurationError unless the file exists, is valid Python, and defines the function.

    The file is not run: what it imports may be slow, or wait for something.
    """
    path, function_name = _parts(kind, name)
    try:
        tree = ast.parse(path.read_bytes(), str(path))
    except (OSError, SyntaxError, ValueError) as error:
        raise ConfigurationError(f"{kind} {name}: {type(error).__name__}: {error}") from error
    if not any(_binds(node, function_name) for node in ast.walk(tree)):
        raise _missing(kind, name, path)


def load_function(kind: str, name: str) -> Callable[..., Any]:
    """Import the function named `name`, path/to/file.py:function.

    Raises ConfigurationError, beginning with `kind`, if it cannot be imported.
    """
    path, function_name = _parts(kind, name)
    module_name = f"custom_{kind.strip('-')}_{path.stem}"
    spec = importlib.util.spec_from_file_location(module_name, path)
    assert spec is not None  # as for any file that ends in .py
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise ConfigurationError(
            f"{kind} {name}: importing it failed: {type(error).__name__}: {error}"
        ) from error
    if not hasattr(module, function_name):
        raise _missing(kind, name, path)
    function = getattr(module, function_name)
    if not callable(function):
        raise ConfigurationError(f"{kind} {name}: {function_name} is not a function")
    loaded: Callable[..., Any] = function
    return loaded


def _parts(kind: str, name: str) -> tuple[Path, str]:
    if name.endswith((".py", ".py:")):
        raise ConfigurationError(
            f"{kind} {name}: name its function, as {name.removesuffix(':')}:FUNCTION"
        )
    path, _, function_name = name.rpartition(":")
    if not path.endswith(".py"):
        raise ConfigurationError(f"{kind} {name}: should be path/to/file.py:function")
    if not Path(path).is_file():
        raise ConfigurationError(f"{kind} {name}: there is no file {path}")
    return Path(path), function_name


def _missing(kind: str, name: str, path: Path) -> ConfigurationError:
    function_name = name.rpartition(":")[2]
    return ConfigurationError(f"{kind} {name}: there is no {function_name} in {path}")


def _binds(node: ast.AST, name: str) -> bool:
    """Return whether a statement binds this name: a definition, assignment or import."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return node.name == name
    if isinstance(node, ast.Name):
        return node.id == name and isinstance(node.ctx, ast.Store)
    if isinstance(node, ast.alias):
        return name in (node.asname or node.name, "*") or node.name == "*"
    return False
