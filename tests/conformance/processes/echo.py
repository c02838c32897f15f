"""Adapters for a process of their own, in NumPy alone: a model that looks words up, and others with one fault each."""

import os
import signal
import subprocess
import sys
import time
import warnings
from types import MappingProxyType

import numpy as np

CLAIMED = (
    "warnings", "python_values", "cache", "saving", "pruning", "resizing", "overrides", "gradients", "graph",
)  # fmt: skip


class Unsupported(Exception):
    """The implementation does not have this."""


class Adapter:
    """A base model whose hidden state is the embedding of the word."""

    name, version = "echo", "1"
    versions = MappingProxyType({"engine": "7.1"})
    capabilities = MappingProxyType(
        {"heads": ["base"], "call_styles": ["keywords", "dict", "single"], **dict.fromkeys(CLAIMED, True)}
    )

    def load(self, head, config, weights, dtype):
        """The model; it warns when there is no pooler."""
        if "pooler.dense.weight" not in weights:
            warnings.warn("pooler.dense is missing", stacklevel=2)
        return Model(weights["embeddings.word_embeddings.weight"].astype(dtype))

    def load_saved(self, head, path, dtype, **overrides):
        """The model from table.npy."""
        return Model(np.load(os.path.join(path, "table.npy")).astype(dtype) * overrides.get("scale", 1))


class Model:
    """Words to rows of a table."""

    def __init__(self, table):
        self.table = table

    def __call__(self, inputs, *, style, options):
        """The rows; with a cache, what was given of it."""
        print("a print on stdout, where nobody may speak JSON", flush=True)
        ids = inputs["input_ids"]
        if ids.min() < 0 or ids.max() >= len(self.table):
            raise ValueError(f"input_ids holds {ids.max()}, allowed are 0 to {len(self.table) - 1}")
        outputs = {"last_hidden_state": self.table[ids], "given": np.array(sorted(map(len, inputs))), "absent": None}
        if options.get("use_cache"):
            outputs["past_key_values"] = inputs.get("past_key_values", ((self.table, self.table + 1),))
        if options.get("return_dict") is False:
            return {"tuple": tuple(outputs.values())}
        return outputs

    def execute(self, inputs, options, mode):
        """The rows, and how many characters the mode has."""
        return self(inputs, style="keywords", options=options) | {"mode": np.array(len(mode))}

    def save(self, path):
        """The table."""
        np.save(os.path.join(path, "table.npy"), self.table)

    def prune_heads(self, heads):
        """Layers come as integers."""
        assert heads == {0: [1]}, heads
        self.table = self.table * 2

    def resize_token_embeddings(self, vocab_size):
        """Rows of zeros."""
        self.table = np.resize(self.table, (vocab_size, self.table.shape[1]))

    def gradients(self, inputs, options):
        """Names with dots stay as they are."""
        return {"loss": np.float64(1.5), "embeddings.word_embeddings.weight": self.table}


class Encoder(Adapter):
    """A plain encoder in float32, as most first adapters claim it: no decoder, no switch."""

    name = "encoder"
    capabilities = MappingProxyType({"heads": ["base"]})

    def load(self, head, config, weights, dtype):
        """The model, if it is a plain one."""
        for name, value in {"is_decoder": False, "rotary_value": False, "hidden_act": "gelu"}.items():
            if config.get(name, value) != value:
                raise Unsupported(f"another {name}")
        return super().load(head, config, weights, dtype)


class Faulty(Adapter):
    """Loads a model that does `_fault` when it is called."""

    name = "faulty"

    def load(self, head, config, weights, dtype):
        """The model with the fault."""
        model = super().load(head, config, weights, dtype)
        return lambda inputs, **kwargs: self._fault(model, inputs, **kwargs)

    def _fault(self, model, inputs, **kwargs):
        """What goes wrong."""
        raise NotImplementedError


class Hangs(Faulty):
    """Never answers."""

    def _fault(self, model, inputs, **kwargs):
        time.sleep(600)


class KilledBySignal(Faulty):
    """Dies as the kernel's out-of-memory killer has it."""

    def _fault(self, model, inputs, **kwargs):
        print("the last words", file=sys.stderr, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)


class Exits(Faulty):
    """Ends itself."""

    def _fault(self, model, inputs, **kwargs):
        sys.exit(7)


class TakesMemory(Faulty):
    """Holds ever more memory."""

    def _fault(self, model, inputs, **kwargs):
        held = []
        while len(held) < 40:  # at most 2 GB, should nobody stop it
            held.append(np.ones(50 * 2**20 // 8))
            time.sleep(0.02)
        time.sleep(600)


class Prints(Faulty):
    """Prints without end."""

    def _fault(self, model, inputs, **kwargs):
        while True:
            os.write(1, b"x" * 65536)
            time.sleep(0.001)


class LeavesAnOrphan(Faulty):
    """Starts a process in a session of its own and forgets it; its number is the output."""

    def _fault(self, model, inputs, **kwargs):
        sleeper = [sys.executable, "-c", "import time; time.sleep(600)"]
        self.orphan = subprocess.Popen(sleeper, start_new_session=True)
        return {"last_hidden_state": np.array([self.orphan.pid])}


class Refuses(Faulty):
    """Does not have what it is asked for."""

    def _fault(self, model, inputs, **kwargs):
        raise Unsupported("a gpu")


class ObjectArrays(Faulty):
    """Returns what no file of tensors can hold."""

    def _fault(self, model, inputs, **kwargs):
        return {"last_hidden_state": np.array([{}])}


class OwnException(Faulty):
    """Raises an exception of its own, below IndexError."""

    def _fault(self, model, inputs, **kwargs):
        class OutOfRangeError(IndexError):
            pass

        raise OutOfRangeError("word 99")


class DiesAtStart(Adapter):
    """Cannot even be made."""

    def __init__(self):
        raise RuntimeError("no libraries here")
