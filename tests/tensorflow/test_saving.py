"""Every head saved in Keras' ways and read in a fresh process: .keras, .weights.h5, and a SavedModel of any length."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from .samples import HEADS, MODELS, config_of, ids_of

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

LENGTHS = ((4, 7), (1, 3), (2, 1))  # rows and positions of calls

# Reads what was saved; a SavedModel before anything of ours is imported.
READER = """
import sys
import numpy as np
import tensorflow as tf

folder = sys.argv[1]
calls = dict(np.load(f"{folder}/calls.npz"))
results = {}
for name, ids in calls.items():
    head, number = name.split("/")
    loaded = tf.saved_model.load(f"{folder}/{head}")  # held: it owns the variables of its functions
    served = loaded.serve({"input_ids": ids, "attention_mask": np.ones_like(ids)})
    results |= {f"{name}/served/{field}": value.numpy() for field, value in served.items()}
assert not any(name.startswith("roformer") for name in sys.modules)

import keras
import roformer_tensorflow

for head in sorted({name.split("/")[0] for name in calls}):
    whole = keras.saving.load_model(f"{folder}/{head}.keras")
    fresh = type(whole)(whole.config, seed=8)
    fresh.load_weights(f"{folder}/{head}.weights.h5")
    for way, model in (("keras", whole), ("weights", fresh)):
        output = model(calls[f"{head}/0"])
        results |= {f"{head}/0/{way}/{field}": value.numpy() for field, value in output.items()}
np.savez(f"{folder}/results.npz", **results)
"""


def save_all(folder: Path) -> dict[str, np.ndarray]:
    """Each head in three ways, and what it computes."""
    calls: dict[str, np.ndarray] = {}
    expected: dict[str, Any] = {}
    for head in HEADS:
        model = MODELS[head](config_of(num_hidden_layers=1, initializer_range=0.3), seed=3)
        model.save(folder / f"{head}.keras")
        model.save_weights(folder / f"{head}.weights.h5")
        model.export(folder / head, verbose=False)
        for number, (rows, positions) in enumerate(LENGTHS):
            ids = ids_of(head, model.config)[:rows, ..., :positions]
            calls[f"{head}/{number}"] = ids
            expected |= {f"{head}/{number}/{field}": value.numpy() for field, value in model(ids).items()}
    np.savez(folder / "calls.npz", **calls)
    return expected


def test_every_head_is_read_in_a_fresh_process(tmp_path) -> None:
    """.keras and .weights.h5 to the last bit; a SavedModel, which needs nothing of ours, at every length."""
    expected = save_all(tmp_path)
    finished = subprocess.run(
        [sys.executable, "-c", READER, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stderr
    results = dict(np.load(tmp_path / "results.npz"))
    assert len(results) * len(LENGTHS) == len(expected) * (len(LENGTHS) + 2)
    for name, array in results.items():
        case, way, field = name.rsplit("/", 2)
        right = expected[f"{case}/{field}"]
        if way == "served":  # a graph sums in another order
            np.testing.assert_allclose(array, right, rtol=0, atol=1e-5, err_msg=name)
        else:
            assert np.array_equal(array, right), name


def test_an_export_archive_serves_endpoints_of_the_callers_own(tmp_path) -> None:
    """Any signature, any outputs, at lengths that were unknown when it was written."""
    model = MODELS["base"](config_of(num_hidden_layers=1))
    archive = keras.export.ExportArchive()
    archive.track(model)
    spec = tf.TensorSpec((None, None), tf.int64)
    archive.add_endpoint("embed", lambda ids: model(ids).last_hidden_state[:, 0], input_signature=[spec])
    archive.write_out(tmp_path / "served", verbose=False)
    ids = tf.constant(ids_of("base", model.config)[:3, :5])
    loaded = tf.saved_model.load(tmp_path / "served")
    np.testing.assert_allclose(loaded.embed(ids), model(ids).last_hidden_state[:, 0], rtol=0, atol=1e-5)
