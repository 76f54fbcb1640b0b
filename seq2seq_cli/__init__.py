"""Train and evaluate encoder-decoder LSTMs on the scalable integer sequence-to-sequence task.

The public names are imported at first use. Only `define_models`, `train` and `train_seeds` load
TensorFlow.
"""

TYPE_CHECKING = False  # importing typing would take longer than everything else

if TYPE_CHECKING:
    from seq2seq_cli.data.tutorial import generate_sequence as generate_sequence
    from seq2seq_cli.data.tutorial import get_dataset as get_dataset
    from seq2seq_cli.data.vocabulary import one_hot_decode as one_hot_decode
    from seq2seq_cli.data.vocabulary import one_hot_encode as one_hot_encode
    from seq2seq_cli.evaluation import evaluate as evaluate
    from seq2seq_cli.inference.greedy import predict_sequence as predict_sequence
    from seq2seq_cli.inference.loading import load_run as load_run
    from seq2seq_cli.notebook import Progress as Progress
    from seq2seq_cli.prediction import encode as encode
    from seq2seq_cli.prediction import predict as predict
    from seq2seq_cli.reports.page import report as report
    from seq2seq_cli.reports.pictures import plot as plot
    from seq2seq_cli.training.models import define_models as define_models
    from seq2seq_cli.training.session import train as train
    from seq2seq_cli.training.session import train_seeds as train_seeds

__version__ = "0.1.0"

_HOMES = {
    "Progress": "notebook",
    "define_models": "training.models",
    "encode": "prediction",
    "evaluate": "evaluation",
    "generate_sequence": "data.tutorial",
    "get_dataset": "data.tutorial",
    "load_run": "inference.loading",
    "one_hot_decode": "data.vocabulary",
    "one_hot_encode": "data.vocabulary",
    "plot": "reports.pictures",
    "predict": "prediction",
    "predict_sequence": "inference.greedy",
    "report": "reports.page",
    "train": "training.session",
    "train_seeds": "training.session",
}

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    if name == "define_models":  # its module imports Keras
        import_module(f"{__name__}.training.process").import_keras()
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
