"""A small model folder for the examples beside this file: a vocabulary of real words, and random weights.

With a trained folder the same lines give its predictions: name it on the command line.
"""

import atexit
import shutil
import sys
import tempfile
from pathlib import Path

from roformer_numpy import RoFormerConfig, RoFormerTokenizer

VOCABULARY = Path(__file__).parents[2] / "fixtures" / "vocabulary" / "vocab.txt"


def model_folder(model: type) -> str:
    """The folder named on the command line, or a new one with a small random `model` and its tokenizer."""
    if len(sys.argv) > 1:
        return sys.argv[1]
    folder = tempfile.mkdtemp(prefix="roformer-example-")
    atexit.register(shutil.rmtree, folder)
    tokenizer = RoFormerTokenizer(VOCABULARY)
    tokenizer.save_pretrained(folder)
    sizes = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 128}
    model(RoFormerConfig(vocab_size=len(tokenizer), **sizes), seed=0).save_pretrained(folder)
    return folder
