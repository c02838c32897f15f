"""Runs in an interpreter with transformers 4.37 for PyTorch and TensorFlow, and nothing of ours.

`checkpoint_peer.py FOLDER`: for each head of FOLDER/jobs.json it writes model folders in every format that the library
can write, says what its own loading makes of them, reads the folders that we wrote, and makes an original checkpoint
with TensorFlow 1's Saver.
"""

import json
import os
import sys
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np
import tensorflow as tf
import torch
import transformers
from safetensors.numpy import load_file, save_file
from transformers.models.roformer.modeling_roformer import load_tf_weights_in_roformer

SPREADS = {"kernel": 0.3, "weight": 0.3, "embeddings": 0.3, "bias": 0.5, "beta": 0.5, "gamma": 0.3}


def save_pytorch(root, name, job):
    """A pytorch_model.bin in double precision, in bfloat16, in shards, and in the format of before 2020."""
    model = fresh(job)
    model.save_pretrained(root / f"{name}-bin", safe_serialization=False)
    model.save_pretrained(root / f"{name}-bin-shards", safe_serialization=False, max_shard_size="20KB")
    model.config.save_pretrained(root / f"{name}-legacy")
    torch.save(model.state_dict(), root / f"{name}-legacy" / "pytorch_model.bin", _use_new_zipfile_serialization=False)
    keep_state(root / f"{name}-bin.state", model)
    widen_positions(model)
    keep_outputs(root / f"{name}-bin.outputs", model, root / f"{name}.inputs")
    half = fresh(job).bfloat16()
    half.save_pretrained(root / f"{name}-bfloat16", safe_serialization=False)
    keep_state(root / f"{name}-bfloat16.state", half.float())


def save_tensorflow(root, name, job):
    """A tf_model.h5, whole and in shards, and a safetensors file, and what PyTorch makes of the h5."""
    model = getattr(transformers, f"TF{job['class']}")(transformers.RoFormerConfig(**job["config"]))
    model(model.dummy_inputs)
    generator = np.random.default_rng(0)
    for variable in model.weights:
        leaf = variable.name.removesuffix(":0").rpartition("/")[2]
        if "embed_positions" not in variable.name:
            variable.assign((leaf == "gamma") + SPREADS[leaf] * generator.normal(size=variable.shape))
    model.save_pretrained(root / f"{name}-h5")
    model.save_pretrained(root / f"{name}-h5-shards", max_shard_size="20KB")
    model.save_pretrained(root / f"{name}-keras", safe_serialization=True)
    keep_tensorflow_outputs(root / f"{name}-h5.outputs", model, root / f"{name}.inputs")
    crossed = getattr(transformers, job["class"]).from_pretrained(root / f"{name}-h5", from_tf=True)
    keep_state(root / f"{name}-h5.state", crossed)


def load_ours(root, name, job):
    """Our folder in the library's TensorFlow model."""
    model, info = getattr(transformers, f"TF{job['class']}").from_pretrained(
        root / f"{name}-ours", output_loading_info=True
    )
    keep_tensorflow_outputs(root / f"{name}-ours.outputs", model, root / f"{name}.inputs")
    loading = {key: sorted(map(str, value)) for key, value in info.items()}
    (root / f"{name}-ours.json").write_text(json.dumps(loading))


def save_original(root, name, job):
    """An original checkpoint under bert4keras' names, and the logits of the library's own conversion of it."""
    values = originals(job["config"])
    folder = root / f"{name}-original"
    folder.mkdir()
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        for variable, value in values.items():
            tf.compat.v1.get_variable(variable, initializer=value.astype(np.float32))
        tf.compat.v1.train.get_or_create_global_step()
        session.run(tf.compat.v1.global_variables_initializer())
        tf.compat.v1.train.Saver().save(session, str(folder / "bert_model.ckpt"), write_meta_graph=False)
    kept = {key: value for key, value in job["config"].items() if key not in ("id2label", "label2id")}
    (folder / "bert_config.json").write_text(json.dumps(kept))
    config = transformers.RoFormerConfig.from_json_file(folder / "bert_config.json")
    model = load_tf_weights_in_roformer(
        transformers.RoFormerForMaskedLM(config), config, str(folder / "bert_model.ckpt")
    )
    model.tie_weights()
    model.double()
    widen_positions(model)
    keep_outputs(root / f"{name}-original.outputs", model, root / f"{name}.inputs")


def originals(config):
    """Names and random values, in the order of the original code."""
    generator = np.random.default_rng(4)
    hidden, inner, vocab = config["hidden_size"], config["intermediate_size"], config["vocab_size"]
    values = {
        "bert/embeddings/word_embeddings": generator.normal(0, 0.3, (vocab, hidden)),
        "bert/embeddings/token_type_embeddings": generator.normal(0, 0.3, (config["type_vocab_size"], hidden)),
    }

    def norm(name):
        values[f"{name}/LayerNorm/beta"] = generator.normal(0, 0.5, hidden)
        values[f"{name}/LayerNorm/gamma"] = generator.uniform(0.5, 1.5, hidden)

    def dense(name, inputs, outputs):
        values[f"{name}/kernel"] = generator.normal(0, 0.3, (inputs, outputs))
        values[f"{name}/bias"] = generator.normal(0, 0.5, outputs)

    norm("bert/embeddings")
    for number in range(config["num_hidden_layers"]):
        layer = f"bert/encoder/layer_{number}"
        for part in ("query", "key", "value"):
            dense(f"{layer}/attention/self/{part}", hidden, hidden)
        dense(f"{layer}/attention/output/dense", hidden, hidden)
        norm(f"{layer}/attention/output")
        dense(f"{layer}/intermediate/dense", hidden, inner)
        dense(f"{layer}/output/dense", inner, hidden)
        norm(f"{layer}/output")
    dense("cls/predictions/transform/dense", hidden, hidden)
    norm("cls/predictions/transform")
    values["cls/predictions/output_bias"] = generator.normal(0, 0.5, vocab)
    return values


def fresh(job):
    """A PyTorch model with strong random weights in double precision, one of them a transposed view."""
    torch.manual_seed(0)
    model = getattr(transformers, job["class"])(transformers.RoFormerConfig(**job["config"])).double()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "embed_positions" not in name:
                centre = 1.0 if name.endswith("LayerNorm.weight") else 0.0
                spread = 0.3 if parameter.ndim == 2 else 0.5
                parameter.copy_(centre + spread * torch.randn(parameter.shape, dtype=torch.float64))
            if name.endswith("layer.0.attention.self.key.weight"):
                parameter.data = parameter.data.T.contiguous().T
    model.tie_weights()
    return model


def widen_positions(model):
    """The table of sines and cosines in double precision: what is stored was rounded to float32."""
    table = getattr(model, "roformer", model).encoder.embed_positions.weight
    positions, width = table.shape
    angles = np.arange(positions)[:, None] / 10000.0 ** (2.0 * np.arange(width // 2) / width)
    table.data = torch.from_numpy(np.concatenate([np.sin(angles), np.cos(angles)], axis=1))


def keep_state(path, model):
    """What the model's weights are, without what is tied."""
    state = {key: value.contiguous().numpy() for key, value in model.state_dict().items() if ".decoder." not in key}
    save_file({key: np.ascontiguousarray(value) for key, value in state.items()}, path)


def keep_outputs(path, model, inputs):
    """Hidden states and whatever else the head gives."""
    given = {name: torch.from_numpy(array) for name, array in load_file(inputs).items()}
    with torch.no_grad():
        outputs = model.eval()(**given, output_hidden_states=True)
    flat = {name: value.numpy() for name, value in outputs.items() if isinstance(value, torch.Tensor)}
    flat |= {f"hidden_states.{number}": part.numpy() for number, part in enumerate(outputs.hidden_states)}
    save_file({name: np.ascontiguousarray(value) for name, value in flat.items()}, path)


def keep_tensorflow_outputs(path, model, inputs):
    """The same of a TensorFlow model."""
    outputs = model(**load_file(inputs), output_hidden_states=True)
    flat = {name: value.numpy() for name, value in outputs.items() if isinstance(value, tf.Tensor)}
    flat |= {f"hidden_states.{number}": part.numpy() for number, part in enumerate(outputs.hidden_states)}
    save_file({name: np.ascontiguousarray(value) for name, value in flat.items()}, path)


if __name__ == "__main__":
    root = Path(sys.argv[1])
    for name, job in json.loads((root / "jobs.json").read_text()).items():
        for step in (save_pytorch, save_tensorflow, load_ours, save_original):
            if step.__name__ in job["steps"]:
                step(root, name, job)
                print(name, step.__name__, flush=True)
