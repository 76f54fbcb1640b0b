import inspect
import re

from seq2seq_cli import errors

CLASSES = [
    item
    for _, item in inspect.getmembers(errors, inspect.isclass)
    if issubclass(item, BaseException) and item.__module__ == errors.__name__
]


def drawn_tree():
    tree, above = {}, []
    for branch, name, code in re.findall(
        r"^ {4}((?:│   )?(?:├── |└── |))(\w+) +(\d+)\b", errors.__doc__, re.MULTILINE
    ):
        depth = len(branch) // 4
        above[depth:] = [name]
        tree[name] = (int(code), above[depth - 1] if depth else None)
    return tree


def test_the_docstring_draws_every_error_with_its_exit_code_and_parent():
    assert drawn_tree() == {
        item.__name__: (
            item.exit_code,
            item.__base__.__name__ if item.__base__ in CLASSES else None,
        )
        for item in CLASSES
    }


def test_each_error_has_its_documented_exit_code():
    assert {item.__name__: item.exit_code for item in errors.S2sError.__subclasses__()} == {
        "ConfigurationError": 2,
        "DataError": 3,
        "ModelError": 4,
        "ExistsError": 5,
        "StorageError": 6,
        "AccuracyError": 7,
    }
    # Those of a shell.
    assert (errors.Interrupted.exit_code, errors.Terminated.exit_code) == (128 + 2, 128 + 15)


def test_handling_mistakes_does_not_swallow_a_signal():
    assert not issubclass(errors.Stopped, Exception)
    assert issubclass(errors.S2sError, Exception)
