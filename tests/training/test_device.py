"""The name of the device, as a run and `s2s doctor` show it."""

import pytest
import tensorflow as tf

from seq2seq_cli.training.program.device import device_name


@pytest.mark.parametrize(
    ("models", "name"),
    [
        ([], "CPU"),
        (["NVIDIA H200"], "GPU: NVIDIA H200"),
        (["NVIDIA H200"] * 4, "4 GPUs: NVIDIA H200"),
        (["NVIDIA A2", "NVIDIA L4", None], "3 GPUs: NVIDIA A2, NVIDIA L4, unknown"),
    ],
)
def test_the_device_has_the_models_of_its_gpus(monkeypatch, models, name):
    details = {
        number: {"device_name": model} if model else {} for number, model in enumerate(models)
    }
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: list(details))
    monkeypatch.setattr(tf.config.experimental, "get_device_details", details.get)
    assert device_name.__wrapped__() == name
