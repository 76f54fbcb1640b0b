"""A user's own callbacks: a function in a Python file that returns them, named by `--callback`.

It is called once a training, when TensorFlow is there, with the settings as a dictionary of its
sections, and the name of the run's folder, which is empty in workers that have none.
"""

from collections.abc import Iterable

import keras

from seq2seq_cli.config import RunConfig
from seq2seq_cli.custom_code import CALLBACK, load_function
from seq2seq_cli.errors import ConfigurationError


def load_callbacks(name: str, config: RunConfig, run: str) -> list[keras.callbacks.Callback]:
    """Return the callbacks that the function `name`, path/to/file.py:function, returns.

    Raises ConfigurationError where it cannot be imported, fails, or returns something else.
    """
    function = load_function(CALLBACK, name)
    try:
        returned = function(config.model_dump(), run)
    except Exception as error:
        raise raised(name, error) from error
    found = list(returned) if isinstance(returned, Iterable) else [returned]
    for item in found:
        if not isinstance(item, keras.callbacks.Callback):
            raise ConfigurationError(
                f"{CALLBACK} {name}: it returned {type(item).__name__}: should be Keras callbacks"
            )
    return found


def raised(name: str, error: Exception) -> ConfigurationError:
    """Return the error to tell where a user's own callbacks have raised one."""
    return ConfigurationError(f"{CALLBACK} {name}: it raised {type(error).__name__}: {error}")
