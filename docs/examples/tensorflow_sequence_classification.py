"""The documentation's example of TFRoFormerForSequenceClassification; only imports and folder differ from its text."""

import tensorflow as tf
from tensorflow_small_model import model_folder

from roformer_numpy import RoFormerTokenizer as AutoTokenizer
from roformer_tensorflow import TFRoFormerForSequenceClassification

FOLDER = model_folder(TFRoFormerForSequenceClassification)

tokenizer = AutoTokenizer.from_pretrained(FOLDER)
model = TFRoFormerForSequenceClassification.from_pretrained(FOLDER)

inputs = tokenizer("Hello, my dog is cute", return_tensors="tf")

logits = model(**inputs).logits

predicted_class_id = int(tf.math.argmax(logits, axis=-1)[0])

# To train a model on `num_labels` classes, you can pass `num_labels=num_labels` to `.from_pretrained(...)`
num_labels = len(model.config.id2label)
model = TFRoFormerForSequenceClassification.from_pretrained(FOLDER, num_labels=num_labels)

labels = tf.constant(1)
loss = model(**inputs, labels=labels).loss

print("predicted_class_id", predicted_class_id, "of", num_labels)
print("loss", loss.shape, f"{float(loss[0]):.4f}")
