"""One sentence through tokenizer and model: text in, numbers out.

The weights are random, so the numbers mean nothing yet. With a trained folder the same lines give its predictions:
`tokenizer = RoFormerTokenizer.from_pretrained(folder)`, `model = RoFormerForMaskedLM.from_pretrained(folder)`.
"""

from pathlib import Path

from roformer_numpy import RoFormerConfig, RoFormerForMaskedLM, RoFormerTokenizer

VOCABULARY = Path(__file__).parents[2] / "fixtures" / "vocabulary" / "vocab.txt"

tokenizer = RoFormerTokenizer(VOCABULARY)
config = RoFormerConfig(vocab_size=len(tokenizer), hidden_size=64, num_hidden_layers=2, num_attention_heads=4)
model = RoFormerForMaskedLM(config, seed=0)

inputs = tokenizer("我们[MASK]中国人民的朋友。", return_tensors="np")
tokens = tokenizer.convert_ids_to_tokens(inputs.input_ids[0].tolist())
print("tokens ", tokens)
print("ids    ", inputs.input_ids[0].tolist())

logits = model(**inputs).logits
masked = tokens.index(tokenizer.mask_token)
best = logits[0, masked].argsort()[::-1][:3]
print("logits ", logits.shape, logits.dtype)
print("[MASK] ", [f"{tokenizer.convert_ids_to_tokens(int(token))} {logits[0, masked, token]:.3f}" for token in best])
print("The weights are random: the three words with the highest logits mean nothing, the shapes and steps are real.")
