"""The documentation's example of TFRoFormerForCausalLM; only the imports and the folder's name differ from its text."""

import tensorflow as tf  # noqa: F401  (the documentation's line)
from tensorflow_small_model import model_folder

from roformer_numpy import RoFormerTokenizer as AutoTokenizer
from roformer_tensorflow import TFRoFormerForCausalLM

FOLDER = model_folder(TFRoFormerForCausalLM)

tokenizer = AutoTokenizer.from_pretrained(FOLDER)
model = TFRoFormerForCausalLM.from_pretrained(FOLDER)

inputs = tokenizer("Hello, my dog is cute", return_tensors="tf")
outputs = model(inputs)
logits = outputs.logits

print("logits", logits.shape)
