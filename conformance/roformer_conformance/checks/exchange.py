"""CFG-4 and LIFE-4: configurations and checkpoints that travel between implementations."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from ..oracle import Checkpoint, write_folder
from ..protocol import AdapterError, Array
from ..registry import check
from ..resources import fixtures_folder, scratch
from ..strategies import Case
from ..trial import TRACES, Trial, Violation, expect, without_warnings

LABELLED = ("base", "sequence_classification")
CLASSIFIERS = ("sequence_classification", "token_classification")
OWN_FOLDERS = ("saving", "formats:safetensors")
# What a configuration holds that was built without arguments (CFG-1.1).
DEFAULTS: Mapping[str, Any] = {
    "vocab_size": 50000, "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12,
    "intermediate_size": 3072, "hidden_act": "gelu", "hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1,
    "max_position_embeddings": 1536, "type_vocab_size": 2, "initializer_range": 0.02, "layer_norm_eps": 1e-12,
    "pad_token_id": 0, "rotary_value": False, "is_decoder": False, "add_cross_attention": False, "use_cache": True,
    "add_pooling_layer": True, "tie_word_embeddings": True, "num_labels": 2, "problem_type": None,
    "summary_type": "last", "loss_reduction": "none", "output_attentions": False, "output_hidden_states": False,
    "return_dict": True,
}  # fmt: skip
# More than any type rounds a sine by, bfloat16 included.
TABLES_DIFFER = 0.01
# Fields other than sizes, none of them as it is by default.
UNUSUAL: Mapping[str, Any] = {
    "hidden_dropout_prob": 0.25, "attention_probs_dropout_prob": 0.375, "initializer_range": 0.5,
    "layer_norm_eps": 1e-5, "pad_token_id": 3, "rotary_value": True, "is_decoder": True, "add_cross_attention": True,
    "use_cache": False, "tie_word_embeddings": False, "problem_type": "regression", "output_attentions": True,
    "return_dict": False, "hidden_act": "relu",
}  # fmt: skip


@check("CFG-1.2", "misspelt-field", effort=0.2, needs=("configuration",))
def a_misspelt_field_is_refused(trial: Trial, case: Case) -> None:
    """A configuration that is built with a keyword which is no field is an error that names it."""
    adapter: Any = trial.adapter
    trial.refuses(lambda: adapter.configure({**case.config, "hiden_size": 64}), "hiden_size")


@check("CFG-1.1", "written-defaults", effort=0.1, needs=("configuration",))
def a_configuration_of_nothing_has_the_defaults(trial: Trial, case: Case) -> None:
    """Of a configuration built without arguments config.json holds the documented defaults, dropout's among them."""
    adapter: Any = trial.adapter
    written = json.loads(json.dumps(dict(adapter.configure({}))))
    for name, default in DEFAULTS.items():
        got = written.get(name, default)
        expect(got == default, f"{name} is {got!r} in a configuration that names nothing, expected {default!r}")


@check("CFG-4.1", "as-transformers-reads-it", effort=0.3, needs=("configuration",))
def transformers_reads_our_configurations(trial: Trial, case: Case) -> None:
    """What config.json holds means the same to transformers 4.37 and 5: their names, and no other default."""
    adapter: Any = trial.adapter
    fields = {**case.config, **UNUSUAL}
    written = json.loads(json.dumps(dict(adapter.configure(fields))))
    expect(written.get("model_type") == "roformer", f"model_type is {written.get('model_type')!r}, expected 'roformer'")
    for release, defaults in _recorded_configs():
        read = {**defaults, **written}
        labels = written.get("num_labels", 2) if "id2label" not in written else len(written["id2label"])
        for name, value in fields.items():
            got = labels if name == "num_labels" else read.get(name)
            expect(got == value, f"{release} reads {name}={got!r} in this config.json, expected {value!r}")


@check("CFG-4.2", "written-by-transformers", heads=LABELLED, effort=0.3, problem_type=None)
def configurations_of_transformers_are_read(trial: Trial, case: Case) -> None:
    """A configuration with every key that transformers 4.37 or 5 writes, nulls included, means what its fields say."""
    inputs = case.inputs()
    expected = trial.call(trial.load(case), inputs, **TRACES)
    fields = {name: value for name, value in case.config.items() if name != "num_labels"}
    names = {str(number): f"LABEL_{number}" for number in range(case.config["num_labels"])}
    labels = {"id2label": names, "label2id": {name: int(number) for number, name in names.items()}}
    for release, recorded in _recorded_configs():
        written = dataclasses.replace(case, config={**recorded, **fields, **labels})
        try:
            model = trial.load(written, trial.weights(case))
        except ValueError as error:
            raise Violation(f"a config.json of {release} is refused: {error}") from error
        trial.equals(f"the config.json of {release}", trial.call(model, inputs, **TRACES), expected)


@check("LIFE-4.2", "read-by-the-reference", heads="all", effort=0.2, needs=OWN_FOLDERS)
def the_reference_reads_what_is_saved(trial: Trial, case: Case) -> None:
    """A saved folder is read by the reference: every weight bit for bit, every field of the configuration."""
    saved: Any = trial.load(case)
    with scratch() as folder:
        saved.save(folder)
        try:
            checkpoint = Checkpoint(folder)
            got = checkpoint.weights(case.head)
        except AdapterError as error:
            raise Violation(f"the reference cannot read what was saved: {error}") from error
    weights = trial.weights(case)
    trial.equals("read by the reference", {name: got.get(name, np.zeros(0)) for name in weights}, weights)
    for name, value in case.config.items():
        read = checkpoint.config.get(name)
        expect(read == value, f"the reference reads {name}={read!r} of what was saved, expected {value!r}")


@check("LIFE-4.2", "written-by-the-reference", heads="all", effort=0.2, needs=OWN_FOLDERS)
def what_the_reference_saves_is_read(trial: Trial, case: Case) -> None:
    """A folder that the reference wrote gives the model that its configuration and weights give, bit for bit."""
    adapter: Any = trial.adapter
    inputs = case.inputs()
    with scratch() as folder, without_warnings():
        write_folder(folder, case.head, case.config, trial.weights(case), trial.dtype)
        model = adapter.load_saved(case.head, folder, trial.dtype)
        got = trial.call(model, inputs, **TRACES)
    trial.equals("a folder of the reference's", got, trial.call(trial.load(case), inputs, **TRACES))


@check("LIFE-4.3", "names-in-the-file", heads="all", effort=0.2, needs=OWN_FOLDERS)
def saved_folders_are_those_of_transformers(trial: Trial, case: Case) -> None:
    """A saved folder holds config.json and safetensors with the names and shapes of transformers, read by neither."""
    saved: Any = trial.load(case)
    with scratch() as folder:
        saved.save(folder)
        path = Path(folder, "config.json")
        described = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        stored = {name: array for file in Path(folder).glob("*.safetensors") for name, array in load_file(file).items()}
    kind = described.get("model_type")
    expect(kind == "roformer", f"config.json has model_type {kind!r}, expected 'roformer'")
    weights = trial.weights(case)
    computed = ("embed_positions.weight", "predictions.decoder.weight", "predictions.decoder.bias")
    unknown = sorted(name for name in stored.keys() - weights.keys() if not name.endswith(computed))
    expect(not unknown, f"the file holds {', '.join(unknown[:3])}, which transformers does not know")
    trial.equals("in the file", {name: stored.get(name, np.zeros(0)).astype(np.float64) for name in weights}, weights)
    for name in (name for name in stored if name.endswith("embed_positions.weight")):
        _expect_sinusoids(name, stored[name].astype(np.float64), case)


@check("CFG-1.3", "written-back", effort=0.2, needs=OWN_FOLDERS)
def unknown_keys_are_written_back(trial: Trial, case: Case) -> None:
    """A key of a config.json that no field knows stands in the config.json that is written."""
    note = {"kept": [1, None, "two"]}
    saved: Any = trial.load(case.with_config(my_note=note), trial.weights(case))
    with scratch() as folder:
        saved.save(folder)
        written = json.loads(Path(folder, "config.json").read_text(encoding="utf-8")).get("my_note")
    expect(written == note, f"my_note is {written!r} in the config.json that was written, expected {note!r}")


@check("LIFE-4.1", "names-of-labels", heads=CLASSIFIERS, effort=0.2, needs=OWN_FOLDERS, also=("CFG-1.4",))
def names_of_labels_survive(trial: Trial, case: Case) -> None:
    """Names of labels stand in config.json after saving, and still after loading and saving again."""
    adapter: Any = trial.adapter
    names = {str(number): f"kind {number}" for number in range(case.config["num_labels"])}
    label2id = {name: int(number) for number, name in names.items()}
    named = case.with_config(id2label=names, label2id=label2id)
    model: Any = trial.load(named, trial.weights(case))
    for what in ("a model with named labels was saved", "that was loaded and saved again"):
        with scratch() as folder:
            model.save(folder)
            written = json.loads(Path(folder, "config.json").read_text(encoding="utf-8")).get("id2label")
            expect(written == names, f"{what}: config.json has id2label {written!r}, expected {names!r}")
            model = adapter.load_saved(case.head, folder, trial.dtype)


@check("LIFE-4.3", "recorded-folders", heads=("masked_lm",), effort=0.3, needs=("formats",))
def folders_of_transformers_are_read(trial: Trial, case: Case) -> None:
    """Folders that transformers 4.37 and 5 wrote, in every claimed format, give the outputs of their weights."""
    claimed = [form for form in ("safetensors", "pytorch", "h5") if form in trial.adapter.capabilities["formats"]]
    for folder in sorted(path for form in claimed for path in _exchange().glob(f"{form}-*") if path.is_dir()):
        _agrees_with_recorded(trial, case, folder, "config.json")


@check("LIFE-4.4", "recorded-original", heads=("masked_lm",), effort=0.3, needs=("formats:tf1",))
def originals_are_read(trial: Trial, case: Case) -> None:
    """An original checkpoint of TensorFlow 1 gives the outputs of the weights that transformers' conversion finds."""
    _agrees_with_recorded(trial, case, _exchange() / "tf1-original", "bert_config.json")


def _expect_sinusoids(name: str, table: Array, case: Case) -> None:
    """The table that transformers' PyTorch classes compute with once they read it: all sines, then all cosines."""
    rows, width = (
        case.config["max_position_embeddings"],
        case.config["hidden_size"] // case.config["num_attention_heads"],
    )
    angles = np.arange(rows)[:, None] * 10000.0 ** (-2.0 * np.arange(width // 2) / width)
    right = np.concatenate([np.sin(angles), np.cos(angles)], axis=1)
    expect(table.shape == right.shape, f"{name} has shape {table.shape} in the file, expected {right.shape}")
    off = float(np.abs(table - right).max())
    expect(off < TABLES_DIFFER, f"{name} in the file is off by {off:.2g}: expected the sines, then the cosines")


def _agrees_with_recorded(trial: Trial, case: Case, folder: Path, config: str) -> None:
    """The model in `folder` gives what the weights that transformers itself found there give."""
    adapter: Any = trial.adapter
    described = json.loads((folder / config).read_text(encoding="utf-8"))
    recorded = dataclasses.replace(case, config=described, seq_len=min(case.seq_len, 12))
    inputs = recorded.inputs()
    with scratch() as place, without_warnings():
        copy = shutil.copytree(folder, Path(place, folder.name))  # nobody may write into what is shipped
        try:
            model = adapter.load_saved(case.head, str(copy), trial.dtype)
        except (ValueError, TypeError, OSError) as error:
            raise Violation(f"the recorded folder {folder.name} is refused: {error}") from error
        got = trial.call(model, inputs, **TRACES)
    try:
        trial.agrees(recorded, inputs, got, TRACES, _state(folder))
    except Violation as violation:
        raise Violation(f"the recorded folder {folder.name}: {violation}", violation.grade) from violation


def _state(folder: Path) -> dict[str, Array]:
    stored = load_file(folder.with_name(f"{folder.name}.state.safetensors"))
    return {name: array.astype(np.float64) for name, array in stored.items()}


def _recorded_configs() -> Iterator[tuple[str, dict[str, Any]]]:
    """What two releases of transformers write for a configuration without arguments."""
    for path in sorted(_exchange().glob("transformers-*.config.json")):
        release = path.name.removesuffix(".config.json").replace("-", " ")
        yield release, json.loads(path.read_text(encoding="utf-8"))


def _exchange() -> Path:
    return fixtures_folder() / "exchange"
