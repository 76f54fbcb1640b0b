"""The device that TensorFlow trains on."""

from functools import cache

import tensorflow as tf


@cache
def device_name() -> str:
    """Return "CPU", or the models of the GPUs that this process uses, as "GPU: NVIDIA H200"."""
    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        return "CPU"
    details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
    models = dict.fromkeys(detail.get("device_name", "unknown") for detail in details)
    number = "GPU" if len(gpus) == 1 else f"{len(gpus)} GPUs"
    return f"{number}: {', '.join(models)}"
