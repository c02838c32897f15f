"""Seeded faults that somebody really shipped: a thread for each, where it was found, reported or mended.

Rotary models, encoders of BERT's kind and the operations they are made of; the mistake is the same, if not the code.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

_GITHUB = "https://github.com/"

HAPPENED: Mapping[str, str] = MappingProxyType(
    {
        fault: _GITHUB + thread
        for fault, thread in {
            # rotation
            "half_split_rotary": "karpathy/nanochat/issues/264",
            "half_precision_angles": "EleutherAI/gpt-neox/issues/1003",
            "float32_frequencies": "Modalities/modalities/pull/462",
            "tables_shared_by_length": "lucidrains/rotary-embedding-torch/issues/11",
            "cache_without_offset": "pytorch/executorch/pull/2010",
            "exponent_halved": "lucidrains/RETRO-pytorch/issues/12",
            # attention and masks
            "scale_by_the_hidden_size": "lucidrains/vit-pytorch/issues/65",
            "scale_missing": "mlc-ai/mlc-llm/pull/3426",
            "minus_ten_thousand": "huggingface/transformers/issues/10484",
            "lowest_of_half_precision": "huggingface/transformers/pull/17306",
            "minus_infinity": "tracel-ai/burn/pull/4697",
            "blind_rows_divide_by_zero": "pytorch/pytorch/issues/41508",
            "mask_ignored": "AnswerDotAI/ModernBERT/pull/40",
            "bool_mask_means_masked": "lucidrains/x-transformers/issues/160",
            # normalisation, activations, embeddings
            "eps_built_in": "keras-team/keras-hub/issues/642",
            "eps_outside_the_root": "tracel-ai/burn/issues/2185",
            "unbiased_variance": "LBANN/lbann/pull/2024",
            "variance_in_one_pass": "pytorch/pytorch/issues/51102",
            "tanh_gelu": "chelsea0x3b/dfdx/issues/804",
            "clamps_integers": "tensorflow/tensorflow/issues/13642",
            # heads, losses
            "language_model_bias_missing": "vllm-project/vllm/pull/46835",
            "tying_ignored": "NVIDIA/TensorRT-LLM/issues/3324",
            "ties_after_loading": "vllm-project/vllm/pull/51665",
            "labels_shifted_twice": "huggingface/transformers/issues/47394",
            "mean_of_nothing_is_nan": "pytorch/pytorch/issues/70348",
            "gradient_of_the_sum": "karpathy/nanoGPT/issues/206",
            "squeezed_outputs": "NVIDIA/tacotron2/pull/303",
            "resizing_draws_all_rows": "huggingface/transformers/pull/36221",
            # training, life cycle, tokenizer
            "drops_in_inference": "karpathy/nanoGPT/pull/240",
            "slight_dropout_in_inference": "pytorch/pytorch/issues/124464",
            "saving_loses_words": "huggingface/transformers/issues/28164",
            "saving_changes_the_object": "huggingface/transformers/pull/28527",
        }.items()
    }
)
