"""The documentation's example of TFRoFormerForMaskedLM; only the imports and the folder's name differ from its text."""

import tensorflow as tf
from tensorflow_small_model import model_folder

from roformer_numpy import RoFormerTokenizer as AutoTokenizer
from roformer_tensorflow import TFRoFormerForMaskedLM

FOLDER = model_folder(TFRoFormerForMaskedLM)

tokenizer = AutoTokenizer.from_pretrained(FOLDER)
model = TFRoFormerForMaskedLM.from_pretrained(FOLDER)

inputs = tokenizer("The capital of France is [MASK].", return_tensors="tf")
logits = model(**inputs).logits

# retrieve index of [MASK]
mask_token_index = tf.where((inputs.input_ids == tokenizer.mask_token_id)[0])
selected_logits = tf.gather_nd(logits[0], indices=mask_token_index)

predicted_token_id = tf.math.argmax(selected_logits, axis=-1)

labels = tokenizer("The capital of France is Paris.", return_tensors="tf")["input_ids"]
# mask labels of non-[MASK] tokens
labels = tf.where(inputs.input_ids == tokenizer.mask_token_id, labels, -100)

outputs = model(**inputs, labels=labels)

print("predicted", tokenizer.decode(predicted_token_id.numpy().tolist()))
print("loss", outputs.loss.shape, f"{float(outputs.loss[0]):.4f}")
