"""Every check passes on the definition, and fails on the mistakes it was written against, with a message that helps."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import pytest

from roformer_conformance.clauses import load_clauses
from roformer_conformance.planning import plan
from roformer_conformance.protocol import Capabilities
from roformer_conformance.registry import all_checks
from roformer_conformance.running import run_job

from .faults import FAULTS
from .faults.executing import Complete

# Each check, the faults it fails on (the first is the mistake it was written against), and what its message names.
BITTEN_BY: dict[str, tuple[str, str]] = {
    "CFG-1.1/absent-fields": ("bert_defaults", "layer_norm_eps"),
    "CFG-1.1/absent-sizes": ("bert_defaults", "num_hidden_layers"),
    "CFG-1.1/absent-large-sizes": ("bert_defaults", "vocab_size"),
    "CFG-1.1/absent-length": ("bert_defaults", "max_position_embeddings"),
    "CFG-1.1/embedding-size": ("bert_defaults", "embedding"),
    "CFG-1.1/switches": ("ignores_config_switches", "hidden_states"),
    "CFG-1.2/misspelt-field": ("swallows_misspelt_fields", "hiden_size"),
    "CFG-1.3/unknown-keys": ("refuses_unknown_keys", "transformers_version"),
    "CFG-1.4/id2label": ("always_two_labels", "id2label"),
    "CFG-2.1/every-name": ("one_quick_gelu gelu_10_clipped_above_alone", "hidden_act='gelu_"),
    "CFG-2.1/large-inputs": ("sigmoid_overflows", "hidden_states.1"),
    "CFG-2.2/selu": ("no_selu", "hidden_act='selu'"),
    "CFG-2.3/unknown-name": ("never_checks_config", "hidden_act"),
    "CFG-3.1/heads-divide": ("never_checks_config", "num_attention_heads"),
    "CFG-3.1/head-size-is-even": ("anonymous_errors", "hidden_size"),
    "CFG-3.2/sizes-are-positive": ("anonymous_errors", "vocab_size"),
    "CFG-3.2/probabilities": ("never_checks_config", "hidden_dropout_prob"),
    "CFG-4.1/as-transformers-reads-it": (
        "writes_names_of_its_own writes_what_differs_from_its_own_defaults",
        "in this config.json",
    ),
    "CFG-4.2/written-by-transformers": ("refuses_null", "transformers 4.37.2"),
    "IN-1/order": ("bert_order", "attention_mask"),
    "IN-2.1/list": ("none_shifts_items", "attention_mask"),
    "IN-2.1/tuple": ("none_shifts_items", "attention_mask"),
    "IN-2.1/one-tensor": ("one_tensor_has_type_one", "input_ids"),
    "IN-2.2/dict": ("values_of_the_dict", "attention_mask"),
    "IN-2.2/other-mappings": ("only_plain_dicts", "input_ids"),
    "IN-2.3/mixture": ("positional_drops_keywords", "token_type_ids"),
    "IN-3/embeddings-alone": ("needs_ids", "input_ids"),
    "IN-4.1/memory-layout": ("ignores_strides", "column-major"),
    "IN-4.2/integer-types": ("two_integer_types", "input_ids"),
    "IN-4.3/inputs-stay": ("inverts_the_mask_in_place", "attention_mask"),
    "IN-4.3/mapping-stays": ("pops_the_callers_keys", "input_ids"),
    "IN-4.4/nested-lists": ("no_lists", "input_ids"),
    "IN-4.4/nested-list-first": ("rows_are_inputs", "input_ids"),
    "IN-5.1/mask-types": ("bool_mask_means_masked", "attention_mask"),
    "IN-5.2/absent-mask": ("guesses_padding", "attention_mask"),
    "IN-5.2/absent-types": ("absent_types_are_ones", "token_type_ids"),
    "IN-6.1/width": ("embeddings_of_hidden_size", "inputs_embeds"),
    "IN-6.2/rows-of-the-table": ("embeddings_without_types", "hidden_states.0"),
    "IN-7/choices-are-alone": ("types_of_the_first_choice masks_of_choices_mixed", "logits"),
    "IN-8.1/labels-in-a-dict": ("labels_in_dicts_ignored", "loss"),
    "IN-8.2/fit-loss": ("fit_sums_the_loss", "the loss of fit"),
    "IN-9.1/configuration-decides": ("call_decides", "hidden_states"),
    "IN-9.2/never-a-tuple": ("call_decides", "return_dict"),
    "IN-9.3/one-warning": ("silent_graph warns_in_every_step", "output_attentions"),
    "IN-9.4/follows-the-call": ("never_follows_the_call", "hidden_states"),
    "IN-9.4/survives-saving": ("forgets_the_switch", "after saving"),
    "IN-9.5/bad-values": ("clamps_when_compiled", "got a result"),
    "IN-9.6/graph-raises": ("clamps_when_compiled", "got a result"),
    "IN-9.6/xla-spoils-the-row": ("clamps_when_compiled spoils_the_batch", "under XLA"),
    "ERR-1/neither": ("neither_means_zeros", "inputs_embeds"),
    "ERR-1/both": ("prefers_ids", "inputs_embeds"),
    "ERR-2/ids": ("clamps_integers", "input_ids"),
    "ERR-3/types": ("clamps_integers", "token_type_ids"),
    "ERR-3/every-type-works": ("two_token_types", "token_type_ids"),
    "ERR-4.1/no-tokens": ("nothing_from_nothing", "input_ids"),
    "ERR-4.2/too-long": ("cuts_long_sequences", "input_ids"),
    "ERR-4.2/longest": ("limit_off_by_one", "input_ids"),
    "ERR-4.3/cached": ("forgets_cached_positions", "input_ids"),
    "ERR-5.1/rank": ("makes_shapes_fit", "input_ids"),
    "ERR-5.2/shape": ("makes_shapes_fit", "attention_mask"),
    "ERR-5.2/width": ("pads_embeddings", "inputs_embeds"),
    "ERR-6/no-integers": ("casts_ids", "input_ids"),
    "ERR-7/mask-values": ("thresholds_the_mask", "attention_mask"),
    "ERR-8.1/unknown-keyword": ("ignores_unknown_names", "attention_masks"),
    "ERR-8.1/unknown-key": ("ignores_unknown_names", "attention_masks"),
    "ERR-8.2/twice": ("the_last_one_wins", "input_ids"),
    "ERR-8.2/twice-in-a-dict": ("the_last_one_wins", "input_ids"),
    "ERR-8.3/too-many-items": ("drops_too_many_items", "got a result"),
    "ERR-9.1/token-labels": ("clamps_integers minus_one_ignored", "labels"),
    "ERR-9.2/class-labels": ("clamps_integers", "labels"),
    "ERR-9.3/label-rank": ("takes_the_first_column", "labels"),
    "ERR-9.3/one-number": ("refuses_the_documented_example", "labels"),
    "ERR-9.4/negative-span": ("clamps_integers", "start_positions"),
    "ERR-10/head-mask-shape": ("repeats_the_head_mask", "head_mask"),
    "ERR-11.1/types": ("ignores_foreign_types", "input_ids"),
    "ERR-11.2/no-rows": ("refuses_empty_batches", "input_ids"),
    "ERR-11.3/nan": ("nan_to_zero", "inputs_embeds"),
    "EMB-1.1/sum-and-norm": ("types_left_out types_after_the_norm words_times_root_of_width", "hidden_states.0"),
    "EMB-1.1/scale-is-normalised-away": ("embeddings_not_normalised", "hidden_states.0"),
    "EMB-1.1/own-rows": ("row_off_by_one", "hidden_states.0"),
    "EMB-1.1/every-tensor-matters": ("projection_without_bias", "hidden_states.0"),
    "EMB-1.1/large-mean": ("variance_in_one_pass", "hidden_states.0"),
    "EMB-1.2/projection": (
        "projection_without_bias statistics_over_positions projected_after_no_norm",
        "hidden_states.0",
    ),
    "EMB-1.3/no-position": ("absolute_positions", "hidden_states.0"),
    "ROT-2.1/plane-probe": (
        "base_9999 exponent_halved half_split_rotary sine_sign_turned scale_missing half_of_each_head_turned",
        "attentions.0",
    ),
    "ROT-2.1/only-distance-counts": ("only_the_query_turns absolute_positions", "attentions.0"),
    "ROT-2.2/gauge": ("half_split_rotary", "attentions.0"),
    "ROT-2.3/order-matters": ("never_rotated", "attentions.0"),
    "ROT-2.3/key-and-query-turn": (
        "bias_after_rotation sine_sign_turned scale_by_the_hidden_size angles_of_the_hidden_size",
        "attentions.0",
    ),
    "ROT-2.4/value-turns": ("rotary_value_ignored position_from_one", "hidden_states.1"),
    "ROT-2.4/value-stays": ("value_always_turned", "hidden_states.1"),
    "ROT-2.5/cross-keys-have-no-place": ("cross_keys_turned", "hidden_states.1"),
    "ROT-2.5/cross-queries-have-no-place": ("cross_queries_turned", "cross_attentions.0"),
    "ROT-2.6/mask-moves-no-position": ("position_counts_tokens", "attentions.0"),
    "ROT-2.6/left-padding-with-value": ("position_from_the_first_token", "hidden_states.1"),
    "ROT-2.7/cached-offset": ("cache_without_offset", "past_key_values.0.0"),
    "ROT-2.8/large-positions": (
        "float32_angles half_precision_angles table_ends_at_512 float32_frequencies",
        "attentions.0",
    ),
    "ATT-3.1/rows-sum-to-one": ("one_in_the_denominator softmax_in_half_precision", "attentions.0"),
    "ATT-3.1/query-key-balance": ("value_from_the_key", "hidden_states.1"),
    "ATT-3.1/scores-grow-with-the-query": ("scores_capped", "attentions.0"),
    "ATT-3.1/heads-normalise-apart": ("softmax_over_heads", "head"),
    "ATT-3.2/not-normalised-again": ("head_mask_renormalised", "attentions.0"),
    "ATT-3.3/heads-are-interchangeable": ("heads_strided", "attentions.0"),
    "ATT-3.3/value-bias-moves-to-the-output": ("value_bias_missing", "hidden_states.1"),
    "ATT-3.3/every-tensor-matters": ("key_bias_missing value_bias_missing one_layer_for_all", "head"),
    "ATT-3.4/identity-layer": ("attention_residual_missing normalised_before_the_residual", "hidden_states.1"),
    "ATT-3.4/layers-in-turn": ("layers_reversed normalised_states", "cut after"),
    "FFN-4.1/activation-probe": ("tanh_gelu quick_gelu_for_gelu", "hidden_states.1"),
    "FFN-4.1/two-dense-layers": ("residual_doubled tanh_gelu", "hidden_states.1"),
    "FFN-4.1/units-are-interchangeable": ("odd_unit_cut", "hidden_states.1"),
    "FFN-4.1/every-unit-matters": ("odd_unit_cut", "hidden_states.1"),
    "FFN-4.3/variance-by-width": ("unbiased_variance", "hidden_states.1"),
    "FFN-4.4/embedding-eps": ("eps_outside_the_root eps_built_in eps_never_below_1e_7", "hidden_states.0"),
    "FFN-4.4/eps-in-every-layer": ("eps_built_in eps_outside_the_root", "hidden_states.1"),
    "MASK-1/weight-is-zero": (
        "minus_ten_thousand mask_ignored mask_in_the_first_layer_alone lowest_of_half_precision",
        "a masked key",
    ),
    "MASK-1/ones-are-none": ("given_mask_inverted pad_tokens_always_masked", "attentions.0"),
    "MASK-2.1/content-is-irrelevant": ("mask_on_queries mask_ignored", "last_hidden_state"),
    "MASK-2.1/embeddings-are-irrelevant": ("mask_of_the_first_row", "last_hidden_state"),
    "MASK-2.1/tokens-matter": ("always_causal", "hidden_states.2"),
    "MASK-2.2/nan-stays-in-its-row": ("nan_reaches_the_batch", "last_hidden_state"),
    "MASK-3.1/right-padding": ("scale_by_length mask_ignored", "hidden_states.1"),
    "MASK-3.2/left-padding": ("absolute_positions", "hidden_states.0"),
    "MASK-4.1/row-alone": ("batch_statistics", "last_hidden_state"),
    "MASK-4.2/row-order": ("mask_of_the_first_row", "rows in the order"),
    "MASK-5/masked-queries": ("masked_queries_emptied", "attentions.0"),
    "MASK-6.1/blind-row-is-uniform": ("minus_ten_thousand", "attentions.0"),
    "MASK-6.1/blind-causal-query-is-uniform": ("blind_sees_the_future", "attentions.0"),
    "MASK-6.2/others-are-unaffected": ("mask_gives_up_for_the_batch", "last_hidden_state"),
    "MASK-6.3/blind-row-is-finite": ("minus_infinity softmax_overflows_unshifted", "last_hidden_state"),
    "OUT-1.1/base": ("no_pooler", "pooler_output"),
    "OUT-1.2/shapes": ("no_embedding_output", "hidden_states"),
    "OUT-1.2/last-state": ("last_state_twice", "hidden_states"),
    "OUT-1.3/shapes": ("stacked_attentions one_layer_less", "attentions"),
    "OUT-1.3/query-before-key": ("keys_before_queries", "attentions.0"),
    "OUT-1.4/after-head-mask": ("attentions_before_head_mask", "attentions.0"),
    "OUT-1.5/rows": ("log_probabilities", "attentions.0"),
    "OUT-1.5/rows-under-head-mask": ("attentions_before_head_mask", "attentions.0"),
    "OUT-1.6/shapes": ("transposed_logits", "logits"),
    "OUT-1.6/shapes-of-one": ("squeezed_outputs", "has shape"),
    "OUT-1.6/no-softmax": ("probabilities_for_logits", "logits"),
    "OUT-1.7/loss": ("zero_loss", "loss"),
    "OUT-1.9/past": ("past_comes_last", "element"),
    "OUT-2/extras": ("extras_forget_types", "last_hidden_state"),
    "OUT-3.1/tuple": ("loses_states_in_tuples attentions_alone_lost_in_tuples", "tuple with output_attentions"),
    "OUT-3.1/by-configuration": ("ignores_return_dict_of_the_config", "return_dict"),
    "OUT-3.2/cross-attentions": ("cross_comes_first", "attentions"),
    "OUT-4.1/formula": ("transposed_pooler pooler_reads_the_first_unmasked", "pooler_output"),
    "OUT-4.3/no-weights": ("random_pooler", "pooler_output"),
    "OUT-4.3/warning": ("silent", "pooler.dense.weight"),
    "OUT-4.4/no-warning": ("warns_of_everything", "pooler_output"),
    "OUT-4.4/switched-off": ("random_pooler", "pooler_output"),
    "OUT-5.1/access": ("plain_dict_outputs", "last_hidden_state"),
    "OUT-5.2/iteration": ("shows_absent_fields", "loss"),
    "HEAD-1.1/by-hand": ("language_model_without_norm tied_table_reshaped language_model_without_activation", "logits"),
    "HEAD-1.1/every-tensor-matters": ("language_model_bias_missing", "logits"),
    "HEAD-1.2/bias-is-added": ("language_model_bias_missing", "logits"),
    "HEAD-1.2/vocabulary-order": ("pad_token_never_predicted", "logits"),
    "HEAD-1.3/tied": ("tied_to_a_copy", "logits"),
    "HEAD-1.4/untied-matrix": ("tying_ignored", "logits"),
    "HEAD-1.4/untied-embeddings": ("tying_ignored", "logits"),
    "HEAD-2/by-hand": ("sequence_head_with_tanh last_token_classified", "logits"),
    "HEAD-2/every-tensor-matters": ("head_without_bias", "logits"),
    "HEAD-3/by-hand": ("token_head_with_activation", "logits"),
    "HEAD-3/label-order": ("labels_reversed", "logits"),
    "HEAD-4/by-hand": ("start_and_end_exchanged", "end_logits"),
    "HEAD-5.1/last-state": ("summary_before_the_last", "logits"),
    "HEAD-5.2/first-state": ("summary_type_ignored", "logits"),
    "HEAD-5.3/mean-state": ("mean_over_unmasked", "logits"),
    "HEAD-5.4/choices-stay-together": ("choices_mixed", "logits"),
    "HEAD-6.1/ones": ("head_mask_inverted", "attentions.0"),
    "HEAD-6.1/one-row-for-all-layers": ("head_mask_first_layer_only", "attentions.1"),
    "HEAD-6.2/surgery": ("head_mask_ignored head_mask_renormalised head_mask_before_the_softmax", "hidden_states.1"),
    "HEAD-6.3/cross-attention-is-spared": ("head_mask_reaches_cross_attention", "cross_attentions.0"),
    "HEAD-7.1/pruned-is-masked": ("neighbour_pruned", "hidden_states."),
    "HEAD-7.2/original-numbers": ("pruned_numbers_shift", "leaves no head"),
    "HEAD-7.3/survives-saving": ("pruning_not_saved", "hidden_states.0"),
    "HEAD-7.4/remaining-weights": ("remaining_heads_reversed", "attentions.0"),
    "HEAD-7.5/mask-after-pruning": ("head_mask_numbers_what_is_left", "hidden_states."),
    "HEAD-7.6/one-head-stays": ("last_head_pruned_in_silence", "head"),
    "HEAD-8.1/kept-rows": ("resizing_draws_all_rows", "hidden_states.0"),
    "HEAD-8.2/language-model": ("resizing_clears_the_bias", "logits"),
    "DEC-1.1/future-is-unseen": ("causal_only_as_decoder one_token_ahead", "hidden_states.1"),
    "DEC-1.2/decoders-are-causal": ("is_decoder_ignored", "hidden_states.1"),
    "DEC-2.1/hidden-weights-are-zero": ("causal_mask_replaces_padding minus_ten_thousand", "attentions.0"),
    "DEC-2.2/visible-weights-are-positive": ("own_key_hidden", "attentions.0"),
    "DEC-3/prefix": ("scale_by_length", "hidden_states.1"),
    "DEC-4/every-split": ("cache_without_offset cached_keys_unmasked", "hidden_states.1"),
    "DEC-4/token-by-token": ("cache_without_offset", "hidden_states.1"),
    "DEC-4/cross-attention": ("cache_without_offset", "hidden_states.1"),
    "DEC-5.1/encoder-matters": ("cross_looks_at_the_decoder", "hidden_states"),
    "DEC-5.1/between-the-halves": ("cross_after_feed_forward", "hidden_states.1"),
    "DEC-5.2/masked-encoder-states": ("encoder_mask_ignored", "cross_attentions.0"),
    "DEC-5.2/not-the-decoders-mask": ("decoder_mask_on_the_encoder cross_attention_is_causal", "cross_attentions.0"),
    "DEC-5.3/entries": ("cache_transposed", "past_key_values"),
    "DEC-5.3/keys-are-turned": ("cached_keys_unturned", "past_key_values.0.0"),
    "DEC-5.3/cross-entries": ("cross_cache_left_out", "past_key_values"),
    "DEC-5.4/no-position": ("encoder_states_by_position drops_too_many_items", "got a result"),
    "DEC-6.1/argmax-of-the-last-logits": ("least_likely_token prompt_unmasked", "generated"),
    "DEC-6.2/seeded-sampling": ("unseeded_sampling seed_ignored", "seed"),
    "DEC-6.2/distribution": ("sampling_too_warm", "drawn"),
    "DEC-6.3/end-of-a-row": ("eos_ends_nothing one_eos_ends_all", "generated"),
    "DEC-6.4/cache-or-not": ("cache_without_offset", "generated"),
    "LOSS-1.1/by-hand": (
        "losses_in_column_order losses_averaged zeros_kept_at_ignored labels_smoothed masked_labels_shifted",
        "loss",
    ),
    "LOSS-1.1/every-position-counts": ("mask_selects_labels", "loss"),
    "LOSS-1.1/uniform": ("loss_in_bits", "logits"),
    "LOSS-1.1/constant": ("softmax_overflows", "logits"),
    "LOSS-1.3/mean": ("mean_over_all_positions mean_is_a_sum", "loss"),
    "LOSS-2.1/ignored-content": ("ignored_taken_for_zero", "loss"),
    "LOSS-2.3/ignored-rows": ("mean_over_all_positions zeros_kept_at_ignored", "loss"),
    "LOSS-2.4/label-zero": ("label_zero_ignored", "loss"),
    "LOSS-2.4/pad-label": ("pad_label_ignored", "loss"),
    "LOSS-3.1/by-hand": ("labels_not_shifted labels_shifted_twice", "loss"),
    "LOSS-3.1/first-label": ("labels_not_shifted", "loss"),
    "LOSS-4/by-hand": ("losses_averaged", "loss"),
    "LOSS-5.1/by-hand": ("regression_truncates", "loss"),
    "LOSS-5.1/column-of-labels": ("column_labels_broadcast", "loss"),
    "LOSS-5.2/by-hand": ("batch_loss_averaged", "loss"),
    "LOSS-5.3/single-label": ("problem_type_ignored", "loss"),
    "LOSS-5.4/by-hand": ("regression_sums problem_type_ignored", "loss"),
    "LOSS-5.5/by-hand": ("several_labels_compete problem_type_ignored", "loss"),
    "LOSS-5.5/large-logits": ("binary_loss_overflows", "loss"),
    "LOSS-6.1/by-hand": ("choices_of_all_examples_compete", "loss"),
    "LOSS-6.2/by-hand": ("spans_not_halved", "loss"),
    "LOSS-6.3/beyond-the-sequence": ("positions_clamped", "loss"),
    "LOSS-7.1/nothing-to-predict": ("mean_of_nothing_is_nan", "loss"),
    "LOSS-8/python-lists": ("lists_lose_their_end", "loss"),
    "TRAIN-1.1/repeated-calls": ("one_buffer noisy_in_the_fourth_digit", "hidden_states.0"),
    "TRAIN-1.1/training-false": ("drops_in_inference", "hidden_states.0"),
    "TRAIN-1.1/own-weights": ("keeps_the_callers_arrays", "hidden_states.0"),
    "TRAIN-1.1/two-models": ("one_current_model", "hidden_states.0"),
    "TRAIN-1.1/another-type-before": ("tables_shared_by_length", "attentions.0"),
    "TRAIN-1.1/nothing-is-left": ("mask_of_the_call_before", "attentions.0"),
    "TRAIN-1.2/hidden-dropout": ("unscaled_dropout shared_dropout keep_probability", "hidden_states.0"),
    "TRAIN-1.2/attention-dropout": ("shared_dropout unscaled_dropout keep_probability", "attentions.0"),
    "TRAIN-1.2/one": ("zero_times_infinity", "hidden_states.0"),
    "TRAIN-1.2/anew-in-every-layer": ("one_drawing_for_every_layer", "attentions.1"),
    "TRAIN-1.3/zero": ("zero_is_not_set", "hidden_states.0"),
    "TRAIN-1.4/seeds": ("ignores_the_seed one_seed", "hidden_states.0"),
    "TRAIN-1.4/head-dropout": ("heads_without_dropout", "logits"),
    "TRAIN-3.1/forms": ("no_loss_to_compute", "no loss to compute"),
    "TRAIN-3.1/fit-lowers-the-loss": ("trains_on_copies", "loss"),
    "TRAIN-3.1/predict": ("predicts_the_last_batch", "has shape"),
    "TRAIN-3.2/predict": ("predicts_the_last_batch", "has shape"),
    "TRAIN-3.2/fit-lowers-the-loss": ("trains_on_copies", "loss"),
    "LIFE-5/three-ways": ("compiles_to_half_precision", "xla beside eager"),
    "LIFE-5/another-call": ("freezes_the_mask", "graph after other calls"),
    "TRAIN-2.1/parity": (
        "layer_norm_taken_for_a_scale turned_forward_on_the_way_back quick_gelu_on_the_way_back",
        "honest float32 arithmetic",
    ),
    "TRAIN-2.1/inputs-embeds": ("gradient_by_embeddings_clipped", "inputs_embeds"),
    "TRAIN-2.1/head-mask": ("head_mask_forgotten_on_the_way_back", "honest float32 arithmetic"),
    "TRAIN-2.2/reference-slope": ("loss_in_bits", "the reference says"),
    "TRAIN-2.3/every-weight": ("types_not_trained biases_of_keys_not_trained", "the gradient by roformer."),
    "TRAIN-2.4/unused-rows": ("decay_in_the_gradient", "word_embeddings"),
    "TRAIN-2.4/padding": ("softmax_smoothed_on_the_way_back", "inputs_embeds"),
    "TRAIN-2.5/both-shares": ("tied_through_the_head_alone", "word_embeddings"),
    "TRAIN-2.6/differences": ("gradient_of_the_sum layer_norm_taken_for_a_scale", "along a direction"),
    "TRAIN-2.7/dropped-alike": ("dropout_drawn_again dropout_passed_by", "along a direction"),
    "LOSS-2.1/gradients": ("ignored_labels_leak", "the gradient by"),
    "LOSS-2.2/ignored": ("ignored_labels_leak", "inputs_embeds"),
    "LOSS-7.2/nothing-to-predict": ("gradient_of_nothing_is_nan", "exactly 0"),
    "MASK-6.3/gradients-are-finite": ("blind_rows_divide_by_zero", "not finite"),
    "ROT-2.9/no-gradient": ("tables_are_trained", "embed_positions"),
    "LIFE-4.1/save-and-load": ("saves_in_half_precision", "hidden_states.0"),
    "LIFE-4.1/untied": ("ties_after_loading", "logits"),
    "LIFE-4.1/saving-changes-nothing": ("saving_scrambles", "hidden_states.0"),
    "LIFE-4.2/read-by-the-reference": ("transposed_in_the_file names_of_its_own_in_the_file", "the reference"),
    "LIFE-4.2/written-by-the-reference": ("transposed_in_the_file", "a folder of the reference"),
    "LIFE-4.3/names-in-the-file": ("names_of_its_own_in_the_file transposed_in_the_file", "file"),
    "LIFE-4.3/recorded-folders": ("kernels_of_hdf_as_they_stand", "h5-4-tied"),
    "LIFE-4.4/recorded-original": ("original_kernels_as_they_stand", "tf1-original"),
    "LIFE-6.1/missing": ("fills_what_is_missing", "encoder.layer"),
    "LIFE-6.1/misshapen": ("fills_what_is_missing", "encoder.layer"),
    "LIFE-6.2/missing-head": ("refuses_missing_heads", "logits"),
    "LIFE-6.2/warning": ("silent", "0 warnings"),
    "LIFE-6.3/num-labels": ("keeps_the_old_head", "num_labels"),
    "LIFE-6.4/warning": ("silent", "embed_positions"),
    "LIFE-6.4/stored-sinusoids": ("uses_the_stored_table", "attentions.0"),
    "LIFE-6.5/longer": ("fixed_length", "max_position_embeddings"),
    "LIFE-6.6/hub-name": ("file_not_found_alone", "somebody/roformer-base"),
    "LIFE-6.7/no-network": ("phones_home", "127.0.0.1"),
    "TOK-1.1/words": ("splits_every_word", "input_ids"),
    "TOK-1.2/template": ("types_follow_the_separator", "token_type_ids"),
    "TOK-1.3/recorded-texts": ("splits_every_word", "input_ids"),
    "TOK-2.1/save-and-load": ("saving_loses_words", "input_ids"),
    "TOK-2.1/saved-by-transformers": ("splits_every_word", "input_ids"),
    "TOK-2.2/saving-changes-nothing": ("saving_changes_the_object", "input_ids"),
    "TOK-2.3/vocabulary-only": ("splits_every_word", "input_ids"),
    "TOK-3.1/numpy": ("always_lists", "input_ids"),
    "TOK-3.2/mapping": ("plain_dict_encodings", "input_ids"),
    "TOK-3.3/special-ids": ("bert_ids", "unk_token_id"),
    "TOK-3.4/decode": ("decodes_pieces", "decode(input_ids"),
    "TOK-3.5/recorded-calls": ("padding_attends", "attention_mask"),
    "TOK-3.6/offsets": ("offsets_in_bytes", "offset_mapping"),
    "TOK-3.6/windows": ("windows_without_stride", "input_ids"),
    "NUM-1.1/parity": ("base_9999 tanh_gelu slight_dropout_in_inference", "honest float32 arithmetic"),
    "NUM-1.1/parity-initial-weights": ("eps_built_in", "hidden_states.0"),
    "NUM-1.1/parity-large-scores": ("minus_ten_thousand base_9999", "honest float"),
    "NUM-1.1/parity-trained-weights": ("base_9999 tanh_gelu", "honest float32 arithmetic"),
    "NUM-1.1/parity-long": ("base_9999", "attentions.0"),
    "NUM-1.3/nan-pattern": ("nan_reaches_the_batch", "hidden_states.0"),
    "EMB-1.1/large-vocabulary": ("ids_in_sixteen_bits", "ids [0, 127"),
    "EMB-1.1/one-token-type": ("one_type_is_none", "hidden_states.0"),
    "NUM-1.1/parity-wide": ("inner_units_in_blocks heads_in_fours", "hidden_states.1"),
    "NUM-1.1/parity-deep": ("layers_in_the_order_of_text three_layers_in_turn", "attentions."),
    "MASK-4.1/many-rows": ("sixteen_rows_at_most", "hidden_states.1"),
    "OUT-1.6/equal-sizes": ("split_is_guessed_by_size", "attentions.0"),
    "MASK-1/long": ("mask_ends_at_256", "attentions.0"),
    "DEC-2.1/long": ("causal_mask_ends_at_512", "attentions.0"),
    "ROT-2.8/after-a-long-cache": ("table_ends_at_1536", "attentions.0"),
    "ERR-7/no-number": ("nan_in_the_mask_masks", "attention_mask"),
    "ERR-5.1/mask-for-each-query": ("last_row_of_square_masks", "attention_mask"),
    "ERR-5.2/one-too-many": ("long_masks_cut", "attention_mask"),
    "ERR-4.2/embeddings-too-long": ("long_embeddings_cut", "inputs_embeds"),
    "ERR-5.2/labels": ("short_labels_filled one_label_for_all_rows", "labels"),
    "ERR-9.1/no-integers": ("labels_truncated", "labels"),
    "ERR-10/that-broadcast": ("head_mask_columns_repeated", "head_mask"),
    "ERR-5.2/encoder-states": ("encoder_states_made_to_fit", "encoder_hidden_states"),
    "ERR-5.2/encoder-mask": ("encoder_mask_thresholded", "encoder_attention_mask"),
    "ERR-5.2/cache": ("more_cache_than_layers", "past_key_values"),
    "IN-2.2/everything-in-a-dict": ("switches_in_dicts_ignored no_none_in_dicts", "input"),
    "IN-2.3/list-and-keywords": ("lists_drop_keywords", "a list and token_type_ids"),
    "IN-4.1/byte-order": ("little_endian_alone", "input_ids"),
    "DEC-5.1/parity": ("cross_values_turned", "past_key_values.0.3"),
    "MASK-6.1/blind-to-the-encoder": ("blind_to_the_encoder_is_passed_by", "cross_attentions.0"),
    "DEC-5.2/still-masked-with-a-cache": ("cached_encoder_unmasked", "cross_attentions.0"),
    "TRAIN-1.2/cross-attention-dropout": ("cross_weights_not_dropped", "cross_attentions.0"),
    "TRAIN-1.2/places": (
        "dropout_after_the_projection dropout_before_the_embeddings_norm attention_output_not_dropped "
        "dropout_after_the_sum feed_forward_not_dropped",
        "with everything dropped",
    ),
    "TRAIN-1.2/heads-that-do-not-drop": ("spans_and_choices_drop language_models_drop", "logits"),
    "TRAIN-1.2/inner-units": ("inner_units_dropped", "features a share"),
    "TRAIN-1.1/after-training": ("stays_in_training", "training=True"),
    "TRAIN-1.1/after-extras": ("extras_stay_on", "hidden_states.0"),
    "TRAIN-1.1/after-gradients": ("gradients_add_up gradients_take_a_step", "again"),
    "TRAIN-1.1/written-over": ("known_by_identity", "written over"),
    "TRAIN-1.1/same-ids-again": ("known_by_ids", "the same ids"),
    "MASK-4.1/equal-rows": ("equal_rows_once", "hidden_states.0"),
    "TRAIN-1.4/seed-zero": ("seed_zero_is_none", "seed 0"),
    "DEC-4/one-cache-for-two": ("cache_grows_in_place", "past_key_values"),
    "OUT-3.1/a-tuple": ("tuples_are_lists", "a list"),
    "OUT-3.1/no-place-for-no-pooler": ("none_for_the_pooler", "3 elements"),
    "OUT-5.2/nothing-empty": ("empty_tuples", "hidden_states is ()"),
    "OUT-1.9/not-without-asking": ("always_caches", "past_key_values"),
    "MASK-6.1/all-rows-blind": ("nothing_but_zeros_is_no_mask", "attentions.0"),
    "ERR-11.2/no-rows-with-labels": ("empty_batches_lose_the_loss", "loss is missing"),
    "ERR-11.3/infinity": ("infinity_clipped", "is finite"),
    "TRAIN-2.6/every-activation": ("mish_differentiated_as_silu selu_without_its_factor_below", "hidden_act"),
    "TRAIN-2.6/problem-types": ("regression_slope_halved binary_slope_of_the_sum", " of "),
    "TRAIN-2.6/summaries": ("mean_summary_trains_the_last", "summary_type"),
    "TRAIN-2.6/spans-beyond": ("far_spans_pull", "beyond the sequence"),
    "TRAIN-2.6/one-word-again": ("last_place_of_a_word_counts", "id 0 everywhere"),
    "TRAIN-2.6/cross-attention": ("cross_attention_not_trained", "cross-attention"),
    "DEC-5.3/by-hand": ("cached_values_unturned", "past_key_values.0.1"),
    "DEC-5.3/cross-entries-by-hand": ("cross_entries_swapped", "past_key_values.0.2"),
    "DEC-4/head-mask": ("head_mask_lost_after_a_cache", "hidden_states.1"),
    "DEC-6.3/eos-in-the-prompt": ("eos_in_the_prompt_ends", "in the prompt"),
    "DEC-6.2/every-word": ("fifty_words_at_most", "left out"),
    "LOSS-3.1/one-token": ("one_token_is_refused", "zero-size"),
    "LOSS-4/one-class": ("one_class_is_a_regression", "loss[0]"),
    "LOSS-2.1/broken-rows": ("ignored_times_zero", "broken row"),
    "LOSS-5.4/as-many-as-rows": ("rows_and_labels_told_by_size", "regression by hand"),
    "LIFE-4.1/every-field": ("saving_loses_extras saving_loses_dropout", "after save and load"),
    "LIFE-4.1/saved-again": ("one_folder_one_model", "saved into the folder"),
    "LIFE-4.1/backbone-of-a-head": ("base_knows_no_prefix", "word_embeddings"),
    "LIFE-6.2/head-on-a-base-model": ("heads_need_their_prefix", "word_embeddings"),
}
PAIRS = [(identifier, name) for identifier, (names, _) in BITTEN_BY.items() for name in names.split()]


def complaints(identifier: str, name: str, *levels: str) -> Iterator[str]:
    """The messages of the runs that fail on the fault, level by level and head by head."""
    adapter = FAULTS[name]()
    for level in levels:
        for job in plan([all_checks()[identifier]], Capabilities.of(adapter), level):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # a wrong model may warn, or divide by zero
                record = run_job(adapter, job, level, seed=0, shrink=False)
            if record.status == "failed":
                yield record.message


def test_every_check_is_bitten() -> None:
    """The table names every check of the suite, and every fault of the list."""
    assert BITTEN_BY.keys() == all_checks().keys()
    assert {name for _, name in PAIRS} == FAULTS.keys()


def test_every_fault_says_what_is_wrong() -> None:
    """A fault's docstring names its mistake in one sentence."""
    for name, factory in FAULTS.items():
        assert (factory.__doc__ or "").strip().endswith("."), name


@pytest.mark.parametrize("identifier", BITTEN_BY)
def test_every_check_states_a_claim_of_the_specification(identifier: str) -> None:
    """The first line of its docstring is a sentence, and the clauses it cites can be looked up."""
    check = all_checks()[identifier]
    assert check.claim.endswith(".")
    assert set(check.clauses) <= load_clauses().keys()


@pytest.mark.parametrize("identifier", BITTEN_BY)
def test_the_definition_passes(identifier: str) -> None:
    """No check accuses the equations at default level, whose first case is the one of smoke level."""
    adapter = Complete()
    jobs = plan([all_checks()[identifier]], Capabilities.of(adapter))
    records = [run_job(adapter, job, "default", seed=0, shrink=False) for job in jobs]
    assert jobs
    assert [record for record in records if record.status != "passed"] == []


@pytest.mark.parametrize(("identifier", "name"), PAIRS)
def test_the_fault_is_found(identifier: str, name: str) -> None:
    """The check fails on the mistake, at default level at the latest, and its message names the place.

    Each head has outputs of its own: what the table names is found on some head.
    """
    heard = []
    for message in complaints(identifier, name, "smoke", "default"):
        heard.append(message)
        if BITTEN_BY[identifier][1] in message:
            return
    pytest.fail("\n".join(heard) or f"{identifier} does not see {name}: {FAULTS[name].__doc__}")


def test_smoke_level_finds_nearly_everything() -> None:
    """One typical case for each head is enough for 19 faults in 20: smoke is small, and not blind."""
    missed = [pair for pair in PAIRS if not next(complaints(*pair, "smoke"), "")]
    assert len(missed) <= len(PAIRS) // 20, missed
