"""Model folders cross between us and the transformers library in both directions, and mean the same numbers.

The library runs in interpreters of its own, named by environment variables; files go to and fro. Everything is in
double precision, their table of positions included, so that agreement is a matter of the last bits.
"""

from __future__ import annotations

import json
import os
import subprocess
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from ..conftest import PEERS
from ..support import CLASSES, HEADS, LANGUAGE_MODELS, MODELS, SIZES, good_call, lead_of, strong_weights
from ..support import config_of as small

TOLERANCE = 1e-12  # float64 on values of order 1 to 10, through two layers: a few hundred units in the last place
LABELS = {0: "负面", 1: "中性", 2: "正面"}
VARIANTS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "plain": ({"embedding_size": SIZES["hidden_size"]}, HEADS),
    "narrow": ({}, HEADS),
    "rotary_value": ({"rotary_value": True, "hidden_act": "gelu_new"}, HEADS),
    "untied": ({"tie_word_embeddings": False}, LANGUAGE_MODELS),
    "cross": ({"is_decoder": True, "add_cross_attention": True}, ("base", "causal_lm")),
    "pruned": ({"pruned_heads": {0: [1], 1: [0, 2]}}, HEADS),
}
FIELDS = [
    *("vocab_size", "embedding_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size"),
    *("hidden_act", "max_position_embeddings", "type_vocab_size", "layer_norm_eps", "initializer_range"),
    *("hidden_dropout_prob", "attention_probs_dropout_prob", "pad_token_id", "rotary_value", "is_decoder"),
    *("add_cross_attention", "tie_word_embeddings", "use_cache"),
]
AVAILABLE = [peer for peer, variable in PEERS.items() if os.environ.get(variable)]


def config_of(head: str, variant: str) -> Any:
    """A configuration that both sides understand: three named labels, and a causal model that says so."""
    changes = {"num_labels": 3, "id2label": LABELS, "is_decoder": head == "causal_lm", **VARIANTS[variant][0]}
    return small(**changes)


def cases(peer: str) -> list[tuple[str, str]]:
    """Head and variant of every folder; pruning is gone from transformers 5."""
    return [
        (head, variant)
        for variant, (_, heads) in VARIANTS.items()
        for head in heads
        if not (variant == "pruned" and peer == "transformers 5")
    ]


def inputs_of(head: str, config: Any) -> dict[str, np.ndarray]:
    """A padded batch with labels, and encoder states where there is cross-attention."""
    call = good_call(head, config, seed=1)
    if config.add_cross_attention:
        states = np.random.default_rng(2).normal(size=(lead_of(head)[0], 5, config.hidden_size))
        mask = np.array([[1, 1, 1, 0, 0], [1] * 5, [0, 1, 0, 1, 1], [1, 0, 0, 0, 0]])
        call |= {"encoder_hidden_states": states, "encoder_attention_mask": mask}
    if head in ("masked_lm", "causal_lm", "token_classification"):
        call["labels"][:, -2:] = -100
    return {name: np.ascontiguousarray(value) for name, value in call.items()}


def our_model(head: str, variant: str) -> Any:
    """A model of ours with strong weights."""
    config = config_of(head, variant)
    whole = config.replace(pruned_heads={})
    model = MODELS[head].from_weights(whole, strong_weights(whole, head), dtype="float64", components="equations")
    model.prune_heads(config.pruned_heads)
    return model


def largest_difference(peer: str, head: str, ours: Any, theirs: dict[str, np.ndarray]) -> float:
    """The largest difference among the fields, all of which must agree; their loss is the mean of ours."""
    flat: dict[str, Any] = {name: value for name, value in ours.items() if isinstance(value, np.ndarray)}
    if "loss" in flat:
        flat["loss"] = flat["loss"].mean()
    for name in ("hidden_states", "attentions", "cross_attentions"):
        flat |= {f"{name}.{number}": part for number, part in enumerate(ours.get(name, ()))}
    flat.pop("pooler_output", None)
    assert flat.keys() == theirs.keys()
    found = {name: float(np.abs(value - theirs[name]).max()) for name, value in flat.items()}
    allowed = dict.fromkeys(found, TOLERANCE)
    if peer == "transformers 5" and head == "causal_lm":
        # their causal loss rounds the logits to float32: twice that rounding, and a float32 sum over the vocabulary
        allowed["loss"] = 2.0**-24 * (2 * float(np.abs(theirs["logits"]).max()) + SIZES["vocab_size"])
    assert all(found[name] <= allowed[name] for name in found), found
    return max(difference for name, difference in found.items() if allowed[name] == TOLERANCE)


@pytest.fixture(scope="session")
def exchange(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A folder for each release, with our models, theirs, and what they said, after one run of its interpreter."""
    return cache(lambda peer: run_peer(peer, tmp_path_factory.mktemp("exchange")))


def run_peer(peer: str, root: Path) -> Path:
    """Write our models to `root`, let the release read them and write its own."""
    jobs = []
    for head, variant in cases(peer):
        config, name = config_of(head, variant), f"{head}-{variant}"
        save_file(inputs_of(head, config), root / f"{name}.inputs.safetensors")
        job = {"class": CLASSES[head], "inputs": f"{name}.inputs.safetensors", "fields": FIELDS}
        our_model(head, variant).save_pretrained(root / f"{name}-ours")
        jobs.append({**job, "kind": "load", "name": f"{name}-ours", "folder": f"{name}-ours"})
        if variant != "pruned":
            given = {field: getattr(config, field) for field in FIELDS}
            given |= {"id2label": LABELS, "label2id": config.label2id}
            size = "20KB" if variant == "narrow" else "5GB"
            theirs = {"kind": "save", "name": f"{name}-theirs", "folder": f"{name}-theirs", "max_shard_size": size}
            jobs.append({**job, **theirs, "config": given})
    (root / "jobs.json").write_text(json.dumps(jobs), encoding="utf-8")
    script = Path(__file__).with_name("peer.py")
    finished = subprocess.run(
        [os.environ[PEERS[peer]], str(script), str(root)],
        capture_output=True,
        text=True,
        timeout=280,
        env={"PATH": os.environ.get("PATH", ""), "HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error",
             "USE_TF": "0", "USE_FLAX": "0", "HOME": str(root)},
    )  # fmt: skip
    assert finished.returncode == 0, finished.stderr[-2000:]
    return root


def for_each(pruned: bool = True) -> pytest.MarkDecorator:
    """A test for each release, head and variant; without the pruned ones for folders that they write."""
    names = [
        pytest.param(peer, head, variant, id=f"{peer}-{head}-{variant}")
        for peer in AVAILABLE
        for head, variant in cases(peer)
        if pruned or variant != "pruned"
    ]
    return pytest.mark.parametrize(("peer", "head", "variant"), names)


def said(root: Path, head: str, variant: str, whose: str) -> dict[str, Any]:
    """What the other side said about a folder."""
    answer = json.loads((root / f"{head}-{variant}-{whose}.json").read_text(encoding="utf-8"))
    assert "error" not in answer, answer.get("error")
    return answer


@pytest.mark.parametrize("peer", AVAILABLE)
def test_the_release_is_the_one_that_was_asked_for(exchange: Callable[[str], Path], peer: str) -> None:
    """The interpreter behind a variable has the release of its name."""
    version = (exchange(peer) / "version.txt").read_text(encoding="utf-8")
    assert f"transformers {version}".startswith(f"{peer}.")


@for_each()
def test_our_folder_loads_there_with_every_key_in_its_place(
    exchange: Callable[[str], Path], peer: str, head: str, variant: str
) -> None:
    """No key is missing, unexpected or of another shape; the pooler, which they do not have, is the one exception."""
    loading = said(exchange(peer), head, variant, "ours")["loading"]
    pooler = ["pooler.dense.bias", "pooler.dense.weight"] if head == "base" else []
    assert loading == {"missing_keys": [], "unexpected_keys": pooler, "mismatched_keys": [], "error_msgs": []}


@for_each()
def test_our_folder_means_the_same_numbers_there(
    exchange: Callable[[str], Path], peer: str, head: str, variant: str, record_property: Any
) -> None:
    """Every hidden state, attention, logit and loss agrees in double precision."""
    said(exchange(peer), head, variant, "ours")
    name = f"{head}-{variant}"
    inputs = load_file(exchange(peer) / f"{name}.inputs.safetensors")
    ours = our_model(head, variant)(**inputs, **extras(head))
    difference = largest_difference(peer, head, ours, load_file(exchange(peer) / f"{name}-ours.outputs.safetensors"))
    record_property("largest difference", (peer, "ours there", head, variant, difference))
    assert difference <= TOLERANCE


def extras(head: str) -> dict[str, bool]:
    """All that can be compared, without the cache."""
    quiet = {"use_cache": False} if head in ("base", "causal_lm") else {}
    return {"output_hidden_states": True, "output_attentions": True, **quiet}


@for_each(pruned=False)
def test_their_folder_means_the_same_numbers_here(
    exchange: Callable[[str], Path], peer: str, head: str, variant: str, record_property: Any
) -> None:
    """A folder that the library wrote, in one file or in shards, loads here and agrees in double precision."""
    said(exchange(peer), head, variant, "theirs")
    name = f"{head}-{variant}"
    folder = exchange(peer) / f"{name}-theirs"
    assert (folder / "model.safetensors.index.json").exists() == (variant == "narrow")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = MODELS[head].from_pretrained(folder, dtype="float64", components="equations")
    missing_pooler = ["pooler_output will be None"] if head == "base" else []
    assert [str(item.message)[:26] for item in caught] == missing_pooler
    output = model(**load_file(exchange(peer) / f"{name}.inputs.safetensors"), **extras(head))
    difference = largest_difference(
        peer, head, output, load_file(exchange(peer) / f"{name}-theirs.outputs.safetensors")
    )
    record_property("largest difference", (peer, "theirs here", head, variant, difference))
    assert difference <= TOLERANCE


@for_each()
def test_our_configuration_is_read_there(exchange: Callable[[str], Path], peer: str, head: str, variant: str) -> None:
    """Every field has its value on the other side, the three label names among them."""
    answer, config = said(exchange(peer), head, variant, "ours"), config_of(head, variant)
    assert answer["config"] == {name: getattr(config, name) for name in answer["config"]}
    assert set(FIELDS) - set(answer["config"]) <= {"is_decoder", "add_cross_attention", "use_cache"}
    if head != "question_answering":  # their question answering sets num_labels to 2 and renames the labels
        assert answer["num_labels"] == 3
        assert answer["id2label"] == {str(number): name for number, name in LABELS.items()}
        assert answer["label2id"] == {name: number for number, name in LABELS.items()}


@for_each(pruned=False)
def test_their_configuration_is_read_here(exchange: Callable[[str], Path], peer: str, head: str, variant: str) -> None:
    """Fields and label names of a config.json that the library wrote; keys that we do not know are kept."""
    said(exchange(peer), head, variant, "theirs")
    path = exchange(peer) / f"{head}-{variant}-theirs"
    expected = config_of(head, variant)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the pooler: another test looks at it
        config = MODELS[head].from_pretrained(path, dtype="float64", components="equations").config
    assert {name: getattr(config, name) for name in FIELDS} == {name: getattr(expected, name) for name in FIELDS}
    if head != "question_answering":
        assert (config.num_labels, config.id2label, config.label2id) == (3, LABELS, expected.label2id)
    written = json.loads((path / "config.json").read_text(encoding="utf-8"))
    assert written["transformers_version"] == config.extra["transformers_version"]
