"""Every arithmetic check passes on the equations, and fails on at least one implementation that is wrong."""

from __future__ import annotations

import warnings
import zlib

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as hypothesis_seed

from roformer_conformance.clauses import load_clauses
from roformer_conformance.protocol import Capabilities
from roformer_conformance.registry import Check, all_checks
from roformer_conformance.runner import LEVELS
from roformer_conformance.strategies import Case
from roformer_conformance.trial import Trial, Violation
from roformer_numpy.adapter import NumpyAdapter

from .faults_arithmetic import FAULTS, FaultyAdapter

MODULES = ("embedding", "rotary", "attention", "feed_forward", "mask", "heads", "decoder", "losses", "numerical")

# What makes each check fail; the first fault is the mistake that the check was written against.
BITTEN_BY = {
    "EMB-1.1/sum-and-norm": "types_left_out",
    "EMB-1.1/scale-is-normalised-away": "embeddings_not_normalised",
    "EMB-1.1/own-rows": "row_off_by_one",
    "EMB-1.1/every-tensor-matters": "projection_without_bias",
    "EMB-1.2/projection": "projection_without_bias",
    "EMB-1.3/no-position": "absolute_positions",
    "ROT-2.1/plane-probe": "base_9999 exponent_halved half_split_rotary sine_sign_turned scale_missing",
    "ROT-2.1/only-distance-counts": "only_the_query_turns absolute_positions",
    "ROT-2.2/gauge": "half_split_rotary",
    "ROT-2.3/order-matters": "never_rotated",
    "ROT-2.3/key-and-query-turn": "bias_after_rotation sine_sign_turned",
    "ROT-2.4/value-turns": "rotary_value_ignored position_from_one",
    "ROT-2.4/value-stays": "value_always_turned",
    "ROT-2.5/cross-keys-have-no-place": "cross_keys_turned",
    "ROT-2.5/cross-queries-have-no-place": "cross_queries_turned",
    "ROT-2.6/mask-moves-no-position": "position_counts_tokens",
    "ROT-2.6/left-padding-with-value": "position_from_the_first_token",
    "ROT-2.7/cached-offset": "cache_without_offset",
    "ROT-2.8/large-positions": "float32_angles half_precision_angles",
    "ATT-3.1/rows-sum-to-one": "one_in_the_denominator",
    "ATT-3.1/query-key-balance": "value_from_the_key",
    "ATT-3.1/scores-grow-with-the-query": "scores_capped",
    "ATT-3.1/heads-normalise-apart": "softmax_over_heads",
    "ATT-3.2/not-normalised-again": "head_mask_renormalised",
    "ATT-3.3/heads-are-interchangeable": "heads_strided",
    "ATT-3.3/value-bias-moves-to-the-output": "value_bias_missing",
    "ATT-3.3/every-tensor-matters": "key_bias_missing value_bias_missing",
    "ATT-3.4/identity-layer": "attention_residual_missing",
    "ATT-3.4/layers-in-turn": "layers_reversed",
    "FFN-4.1/activation-probe": "tanh_gelu",
    "FFN-4.1/two-dense-layers": "residual_doubled tanh_gelu",
    "FFN-4.1/units-are-interchangeable": "odd_unit_cut",
    "FFN-4.1/every-unit-matters": "odd_unit_cut",
    "FFN-4.3/variance-by-width": "unbiased_variance",
    "FFN-4.4/embedding-eps": "eps_outside_the_root eps_built_in",
    "FFN-4.4/eps-in-every-layer": "eps_built_in eps_outside_the_root",
    "MASK-1/weight-is-zero": "minus_ten_thousand mask_ignored",
    "MASK-1/ones-are-none": "given_mask_inverted",
    "MASK-2.1/content-is-irrelevant": "mask_on_queries mask_ignored",
    "MASK-2.1/embeddings-are-irrelevant": "mask_of_the_first_row",
    "MASK-2.1/tokens-matter": "always_causal",
    "MASK-2.2/nan-stays-in-its-row": "nan_reaches_the_batch",
    "MASK-3.1/right-padding": "scale_by_length mask_ignored",
    "MASK-3.2/left-padding": "absolute_positions",
    "MASK-4.1/row-alone": "batch_statistics",
    "MASK-4.2/row-order": "mask_of_the_first_row",
    "MASK-5/masked-queries": "masked_queries_emptied",
    "MASK-6.1/blind-row-is-uniform": "minus_ten_thousand",
    "MASK-6.1/blind-causal-query-is-uniform": "blind_sees_the_future",
    "MASK-6.2/others-are-unaffected": "mask_gives_up_for_the_batch",
    "MASK-6.3/blind-row-is-finite": "minus_infinity",
    "HEAD-1.1/by-hand": "language_model_without_norm",
    "HEAD-1.1/every-tensor-matters": "language_model_bias_missing",
    "HEAD-1.2/bias-is-added": "language_model_bias_missing",
    "HEAD-1.2/vocabulary-order": "pad_token_never_predicted",
    "HEAD-1.3/tied": "tied_to_a_copy",
    "HEAD-1.4/untied-matrix": "tying_ignored",
    "HEAD-1.4/untied-embeddings": "tying_ignored",
    "HEAD-2/by-hand": "sequence_head_with_tanh",
    "HEAD-2/every-tensor-matters": "head_without_bias",
    "HEAD-3/by-hand": "token_head_with_activation",
    "HEAD-3/label-order": "labels_reversed",
    "HEAD-4/by-hand": "start_and_end_exchanged",
    "HEAD-5.1/last-state": "summary_before_the_last",
    "HEAD-5.2/first-state": "summary_type_ignored",
    "HEAD-5.3/mean-state": "mean_over_unmasked",
    "HEAD-5.4/choices-stay-together": "choices_mixed",
    "HEAD-6.1/ones": "head_mask_inverted",
    "HEAD-6.1/one-row-for-all-layers": "head_mask_first_layer_only",
    "HEAD-6.2/surgery": "head_mask_ignored head_mask_renormalised",
    "HEAD-6.3/cross-attention-is-spared": "head_mask_reaches_cross_attention",
    "HEAD-7.1/pruned-is-masked": "neighbour_pruned",
    "HEAD-7.2/original-numbers": "pruned_numbers_shift",
    "HEAD-7.3/survives-saving": "pruning_not_saved",
    "HEAD-7.4/remaining-weights": "remaining_heads_reversed",
    "HEAD-7.5/mask-after-pruning": "head_mask_numbers_what_is_left",
    "HEAD-7.6/one-head-stays": "last_head_pruned_in_silence",
    "HEAD-8.1/kept-rows": "resizing_draws_all_rows",
    "HEAD-8.2/language-model": "resizing_clears_the_bias",
    "DEC-1.1/future-is-unseen": "causal_only_as_decoder",
    "DEC-1.2/decoders-are-causal": "is_decoder_ignored",
    "DEC-2.1/hidden-weights-are-zero": "causal_mask_replaces_padding minus_ten_thousand",
    "DEC-2.2/visible-weights-are-positive": "own_key_hidden",
    "DEC-3/prefix": "scale_by_length",
    "DEC-4/every-split": "cache_without_offset",
    "DEC-4/token-by-token": "cache_without_offset",
    "DEC-4/cross-attention": "cache_without_offset",
    "DEC-5.1/encoder-matters": "cross_looks_at_the_decoder",
    "DEC-5.1/between-the-halves": "cross_after_feed_forward",
    "DEC-5.2/masked-encoder-states": "encoder_mask_ignored",
    "DEC-5.2/not-the-decoders-mask": "decoder_mask_on_the_encoder",
    "DEC-5.3/entries": "cache_transposed",
    "DEC-5.3/keys-are-turned": "cached_keys_unturned",
    "DEC-5.3/cross-entries": "cross_cache_left_out",
    "DEC-6.1/argmax-of-the-last-logits": "least_likely_token",
    "DEC-6.2/seeded-sampling": "unseeded_sampling seed_ignored",
    "DEC-6.2/distribution": "sampling_too_warm",
    "DEC-6.3/end-of-a-row": "eos_ends_nothing one_eos_ends_all",
    "DEC-6.4/cache-or-not": "cache_without_offset",
    "LOSS-1.1/by-hand": "losses_in_column_order losses_averaged zeros_kept_at_ignored",
    "LOSS-1.1/every-position-counts": "mask_selects_labels",
    "LOSS-1.1/uniform": "loss_in_bits",
    "LOSS-1.1/constant": "softmax_overflows",
    "LOSS-1.3/mean": "mean_over_all_positions mean_is_a_sum",
    "LOSS-2.1/ignored-content": "ignored_taken_for_zero",
    "LOSS-2.3/ignored-rows": "mean_over_all_positions zeros_kept_at_ignored",
    "LOSS-2.4/label-zero": "label_zero_ignored",
    "LOSS-2.4/pad-label": "pad_label_ignored",
    "LOSS-3.1/by-hand": "labels_not_shifted labels_shifted_twice",
    "LOSS-3.1/first-label": "labels_not_shifted",
    "LOSS-4/by-hand": "losses_averaged",
    "LOSS-5.1/by-hand": "regression_truncates",
    "LOSS-5.1/column-of-labels": "column_labels_broadcast",
    "LOSS-5.2/by-hand": "batch_loss_averaged",
    "LOSS-5.3/single-label": "problem_type_ignored",
    "LOSS-5.4/by-hand": "regression_sums problem_type_ignored",
    "LOSS-5.5/by-hand": "several_labels_compete problem_type_ignored",
    "LOSS-5.5/large-logits": "binary_loss_overflows",
    "LOSS-6.1/by-hand": "choices_of_all_examples_compete",
    "LOSS-6.2/by-hand": "spans_not_halved",
    "LOSS-6.3/beyond-the-sequence": "positions_clamped",
    "LOSS-7.1/nothing-to-predict": "mean_of_nothing_is_nan",
    "LOSS-8/python-lists": "lists_lose_their_end",
    "NUM-1.1/parity": "base_9999 tanh_gelu",
    "NUM-1.1/parity-initial-weights": "eps_built_in",
    "NUM-1.1/parity-large-scores": "minus_ten_thousand base_9999",
    "NUM-1.1/parity-long": "base_9999",
    "NUM-1.3/nan-pattern": "nan_reaches_the_batch",
}

CHECKS = {identifier: item for identifier, item in all_checks().items() if item.function.__module__.endswith(MODULES)}
PAIRS = [(identifier, name) for identifier, names in BITTEN_BY.items() for name in names.split()]


def attempt(check: Check, adapter: NumpyAdapter, level: str, head: str) -> str:
    """What the check says about the adapter, "" when the claim holds; drawn as the runner draws, never shrunk."""
    trial, message = Trial(adapter, "float32"), ""

    @hypothesis_seed(zlib.crc32(f"0 {check.id} {head} float32".encode()))
    @settings(
        max_examples=max(1, round(LEVELS[level] * check.effort)), deadline=None, database=None,
        phases=[Phase.generate], suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(check.strategy(head))
    def run(case: Case) -> None:
        nonlocal message
        if message:
            return
        try:
            check.function(trial, case)
        except Violation as violation:
            message = str(violation)
        except ValueError as error:  # a wrong model may refuse what it should not: the runner counts it as well
            message = repr(error)

    run()
    return message


def heads(check: Check) -> tuple[str, ...]:
    """The heads that the runner would try the check on."""
    return check.heads_for(Capabilities.of(NumpyAdapter("equations")))


def test_every_check_is_bitten() -> None:
    """The table names every check of the arithmetic modules and no other, and every fault of the list."""
    assert BITTEN_BY.keys() == CHECKS.keys()
    assert {name for _, name in PAIRS} == FAULTS.keys()


def test_every_clause_of_a_check_is_a_claim() -> None:
    """Whatever clause a check cites can be looked up in the specification."""
    known = {clause.id for clause in load_clauses().values()}
    cited = {clause for item in CHECKS.values() for clause in (item.clause, *item.also)}
    assert cited <= known, sorted(cited - known)


@pytest.mark.parametrize("identifier", CHECKS)
def test_the_equations_pass(identifier: str) -> None:
    """The definition conforms, at the levels that everybody runs, on every head."""
    for head in heads(CHECKS[identifier]):
        for level in ("smoke", "default"):
            assert attempt(CHECKS[identifier], NumpyAdapter("equations"), level, head) == ""


@pytest.mark.parametrize(("identifier", "name"), PAIRS)
def test_the_fault_is_found(identifier: str, name: str) -> None:
    """The check fails on the mistake it was written against and says what it saw."""
    adapter = FaultyAdapter(FAULTS[name]())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a wrong model may divide by zero
        said = (attempt(CHECKS[identifier], adapter, "default", head) for head in heads(CHECKS[identifier]))
        message = next(filter(None, said), "")
    assert len(message) > 20, f"{identifier} does not see: {FAULTS[name].__doc__}"


def test_every_fault_says_what_is_wrong() -> None:
    """A fault's docstring names its mistake in one sentence."""
    for name, function in FAULTS.items():
        assert (function.__doc__ or "").strip().endswith("."), name
