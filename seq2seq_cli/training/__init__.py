"""Training: the only home of TensorFlow and Keras.

Importing it sets what the two read as they start, unless the user has set it.
"""

import os
from importlib.metadata import version

os.environ.setdefault("KERAS_BACKEND", "tensorflow")

# XLA ends the process on a flag that it does not know, so they are given to the releases with which
# they were measured, and others run without. Two parts of a program are compiled at once (a quarter
# off the compilation), and products go to the YNN kernels (40 % off it, 15 % off each step).
MEASURED_RELEASES = ("2.21",)
XLA_FLAGS = "--xla_cpu_parallel_codegen_split_count=2 --xla_cpu_experimental_ynn_fusion_type=dot"
if version("tensorflow").startswith(MEASURED_RELEASES):
    os.environ.setdefault("XLA_FLAGS", XLA_FLAGS)
