import inspect
import re

import pytest

from seq2seq_cli import errors


def error_classes():
    return [
        item
        for _, item in inspect.getmembers(errors, inspect.isclass)
        if issubclass(item, BaseException) and item.__module__ == errors.__name__
    ]


def roots():
    return [item for item in error_classes() if item.__base__ in (Exception, BaseException)]


def drawn_tree():
    tree, above = {}, []
    for branch, name, code in re.findall(
        r"^ {4}((?:│   )?(?:├── |└── |))(\w+) +(\d+)\b", errors.__doc__, re.MULTILINE
    ):
        depth = len(branch) // 4
        above[depth:] = [name]
        tree[name] = (int(code), above[depth - 1] if depth else None)
    return tree


def test_docstring_draws_every_error_with_its_exit_code_and_parent():
    assert drawn_tree() == {
        item.__name__: (item.exit_code, None if item in roots() else item.__base__.__name__)
        for item in error_classes()
    }


def test_exit_codes_are_distinct_and_never_success():
    codes = [item.exit_code for item in error_classes() if item.__base__ in roots()]
    assert len(set(codes)) == len(codes)
    assert all(item.exit_code > 0 for item in error_classes())


def test_users_mistakes_have_the_documented_exit_codes():
    assert {item.__name__: item.exit_code for item in errors.S2sError.__subclasses__()} == {
        "ConfigurationError": 2,
        "DataError": 3,
        "ModelError": 4,
        "ExistsError": 5,
        "StorageError": 6,
        "AccuracyError": 7,
    }


def test_being_stopped_by_a_signal_has_the_exit_code_of_a_shell():
    assert (errors.Interrupted.exit_code, errors.Terminated.exit_code) == (128 + 2, 128 + 15)


@pytest.mark.parametrize("error", error_classes())
def test_every_error_keeps_its_message(error):
    with pytest.raises(tuple(roots()), match=r"^what to do$"):
        raise error("what to do")


def test_handling_mistakes_does_not_swallow_being_stopped():
    for error in (errors.Interrupted, errors.Terminated):
        assert not issubclass(error, Exception)
    for error in errors.S2sError.__subclasses__():
        assert issubclass(error, Exception)
