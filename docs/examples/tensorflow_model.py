"""The documentation's example of TFRoFormerModel; only the imports and the folder's name differ from its text."""

import tensorflow as tf  # noqa: F401  (the documentation's line)
from tensorflow_small_model import model_folder

from roformer_numpy import RoFormerTokenizer as AutoTokenizer
from roformer_tensorflow import TFRoFormerModel

FOLDER = model_folder(TFRoFormerModel)

tokenizer = AutoTokenizer.from_pretrained(FOLDER)
model = TFRoFormerModel.from_pretrained(FOLDER)

inputs = tokenizer("Hello, my dog is cute", return_tensors="tf")
outputs = model(inputs)

last_hidden_states = outputs.last_hidden_state

print("last_hidden_states", last_hidden_states.shape)
print("pooler_output", outputs.pooler_output.shape)
