"""The documentation's examples run, and print what transformers 4.37 prints from the same folder."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"

# Losses, classes and words were printed by the TensorFlow code of transformers 4.37.2 (its masked loss has the same
# shape for one label); pooler_output it has not. Of the causal model it prints the same shape and, since it lets every
# position see the later ones, other numbers: those of our bidirectional model, to 2.4e-7. Where no later token is, a
# prompt of one, they are ours to 1.8e-7, as are all of PyTorch 4.37's with is_decoder=True, to 3.3e-7.
PRINTED = {
    "model": ["last_hidden_states (1, 8, 64)", "pooler_output (1, 64)"],
    "masked_lm": ["predicted 分别", "loss (1,) 7.9632"],
    "causal_lm": ["logits (1, 8, 4754)"],
    "sequence_classification": ["predicted_class_id 1 of 2", "loss (1,) 0.6851"],
}

# The documentation's statements, apart from imports and the folder's name.
DOCUMENTED = {
    "model": ["outputs = model(inputs)", "last_hidden_states = outputs.last_hidden_state"],
    "masked_lm": [
        "logits = model(**inputs).logits",
        "mask_token_index = tf.where((inputs.input_ids == tokenizer.mask_token_id)[0])",
        "selected_logits = tf.gather_nd(logits[0], indices=mask_token_index)",
        "predicted_token_id = tf.math.argmax(selected_logits, axis=-1)",
        'labels = tokenizer("The capital of France is Paris.", return_tensors="tf")["input_ids"]',
        "labels = tf.where(inputs.input_ids == tokenizer.mask_token_id, labels, -100)",
        "outputs = model(**inputs, labels=labels)",
    ],
    "causal_lm": ["outputs = model(inputs)", "logits = outputs.logits"],
    "sequence_classification": [
        "predicted_class_id = int(tf.math.argmax(logits, axis=-1)[0])",
        "num_labels = len(model.config.id2label)",
        "model = TFRoFormerForSequenceClassification.from_pretrained(FOLDER, num_labels=num_labels)",
        "labels = tf.constant(1)",
        "loss = model(**inputs, labels=labels).loss",
    ],
}


@pytest.mark.parametrize("name", PRINTED)
def test_the_documentations_example_runs_as_it_is_written(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With other imports and another folder, nothing else; what it prints is what transformers printed."""
    script = EXAMPLES / f"tensorflow_{name}.py"
    assert set(DOCUMENTED[name]) <= set(script.read_text(encoding="utf-8").splitlines())
    monkeypatch.syspath_prepend(EXAMPLES)
    monkeypatch.setattr(sys, "argv", [str(script)])
    runpy.run_path(str(script), run_name="__main__")
    assert capsys.readouterr().out.splitlines() == PRINTED[name]
