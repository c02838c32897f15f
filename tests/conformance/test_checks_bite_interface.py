"""Every check of the interface passes on the reference, and fails on an implementation that makes the mistake."""

from __future__ import annotations

import inspect
import warnings

import pytest

from roformer_conformance.clauses import load_clauses
from roformer_conformance.protocol import Capabilities
from roformer_conformance.registry import Check, all_checks
from roformer_conformance.runner import plan, run_job
from roformer_numpy.adapter import NumpyAdapter

from . import faults_interface as faults

FAMILIES = ("config", "errors", "inputs", "life", "outputs", "tokenizer", "training")
CHECKS = {
    name: check for name, check in all_checks().items() if check.function.__module__.rpartition(".")[2] in FAMILIES
}

# Each check, a fault that it catches, and what its message says: the output or the argument where it shows.
CAUGHT: dict[str, tuple[type[faults.Fault], str]] = {
    "CFG-1.1/absent-fields": (faults.BertDefaults, "layer_norm_eps"),
    "CFG-1.1/absent-sizes": (faults.BertDefaults, "num_hidden_layers"),
    "CFG-1.1/absent-large-sizes": (faults.BertDefaults, "vocab_size"),
    "CFG-1.1/absent-length": (faults.BertDefaults, "max_position_embeddings"),
    "CFG-1.1/embedding-size": (faults.BertDefaults, "embedding"),
    "CFG-1.1/switches": (faults.IgnoresConfigSwitches, "hidden_states"),
    "CFG-1.3/unknown-keys": (faults.RefusesUnknownKeys, "transformers_version"),
    "CFG-1.4/id2label": (faults.AlwaysTwoLabels, "id2label"),
    "CFG-2.1/every-name": (faults.OneQuickGelu, "hidden_act='gelu_fast'"),
    "CFG-2.2/selu": (faults.NoSelu, "hidden_act='selu'"),
    "CFG-2.3/unknown-name": (faults.NeverChecksConfig, "hidden_act"),
    "CFG-3.1/heads-divide": (faults.NeverChecksConfig, "num_attention_heads"),
    "CFG-3.1/head-size-is-even": (faults.AnonymousErrors, "hidden_size"),
    "CFG-3.2/sizes-are-positive": (faults.AnonymousErrors, "vocab_size"),
    "CFG-3.2/probabilities": (faults.NeverChecksConfig, "hidden_dropout_prob"),
    "ERR-1/neither": (faults.NeitherMeansZeros, "inputs_embeds"),
    "ERR-1/both": (faults.PrefersIds, "inputs_embeds"),
    "ERR-2/ids": (faults.ClampsIntegers, "input_ids"),
    "ERR-3/types": (faults.ClampsIntegers, "token_type_ids"),
    "ERR-3/every-type-works": (faults.TwoTokenTypes, "token_type_ids"),
    "ERR-4.1/no-tokens": (faults.NothingFromNothing, "input_ids"),
    "ERR-4.2/too-long": (faults.CutsLongSequences, "input_ids"),
    "ERR-4.2/longest": (faults.LimitOffByOne, "input_ids"),
    "ERR-4.3/cached": (faults.ForgetsCachedPositions, "input_ids"),
    "ERR-5.1/rank": (faults.MakesShapesFit, "input_ids"),
    "ERR-5.2/shape": (faults.MakesShapesFit, "attention_mask"),
    "ERR-5.2/width": (faults.PadsEmbeddings, "inputs_embeds"),
    "ERR-6/no-integers": (faults.CastsIds, "input_ids"),
    "ERR-7/mask-values": (faults.ThresholdsTheMask, "attention_mask"),
    "ERR-8.1/unknown-keyword": (faults.IgnoresUnknownNames, "attention_masks"),
    "ERR-8.1/unknown-key": (faults.IgnoresUnknownNames, "attention_masks"),
    "ERR-8.2/twice": (faults.TheLastOneWins, "input_ids"),
    "ERR-8.2/twice-in-a-dict": (faults.TheLastOneWins, "input_ids"),
    "ERR-9.1/token-labels": (faults.ClampsIntegers, "labels"),
    "ERR-9.2/class-labels": (faults.ClampsIntegers, "labels"),
    "ERR-9.3/label-rank": (faults.TakesTheFirstColumn, "labels"),
    "ERR-9.3/one-number": (faults.RefusesTheDocumentedExample, "labels"),
    "ERR-9.4/negative-span": (faults.ClampsIntegers, "start_positions"),
    "ERR-10/head-mask-shape": (faults.RepeatsTheHeadMask, "head_mask"),
    "ERR-11.1/types": (faults.IgnoresForeignTypes, "input_ids"),
    "ERR-11.2/no-rows": (faults.RefusesEmptyBatches, "input_ids"),
    "ERR-11.3/nan": (faults.NanToZero, "inputs_embeds"),
    "IN-1/order": (faults.BertOrder, "list of input_ids, token_type_ids"),
    "IN-2.1/list": (faults.NoneShiftsItems, "token_type_ids"),
    "IN-2.1/tuple": (faults.NoneShiftsItems, "token_type_ids"),
    "IN-2.1/one-tensor": (faults.OneTensorHasTypeOne, "input_ids"),
    "IN-2.2/dict": (faults.ValuesOfTheDict, "dict of input_ids, token_type_ids"),
    "IN-2.2/other-mappings": (faults.OnlyPlainDicts, "input_ids"),
    "IN-2.3/mixture": (faults.PositionalDropsKeywords, "token_type_ids"),
    "IN-3/embeddings-alone": (faults.NeedsIds, "input_ids"),
    "IN-4.1/memory-layout": (faults.IgnoresStrides, "column-major"),
    "IN-4.2/integer-types": (faults.TwoIntegerTypes, "input_ids"),
    "IN-4.3/inputs-stay": (faults.InvertsTheMaskInPlace, "attention_mask"),
    "IN-4.3/mapping-stays": (faults.PopsTheCallersKeys, "input_ids"),
    "IN-4.4/nested-lists": (faults.NoLists, "input_ids"),
    "IN-4.4/nested-list-first": (faults.RowsAreInputs, "input_ids"),
    "IN-5.1/mask-types": (faults.BoolMaskMeansMasked, "attention_mask"),
    "IN-5.2/absent-mask": (faults.GuessesPadding, "attention_mask"),
    "IN-5.2/absent-types": (faults.AbsentTypesAreOnes, "token_type_ids"),
    "IN-6.1/width": (faults.EmbeddingsOfHiddenSize, "inputs_embeds"),
    "IN-6.2/rows-of-the-table": (faults.EmbeddingsWithoutTypes, "hidden_states.0"),
    "IN-7/choices-are-alone": (faults.TypesOfTheFirstChoice, "logits"),
    "IN-8.1/labels-in-a-dict": (faults.LabelsInDictsIgnored, "loss"),
    "LIFE-4.1/save-and-load": (faults.SavesInHalfPrecision, "hidden_states.0"),
    "LIFE-4.1/untied": (faults.TiesAfterLoading, "logits"),
    "LIFE-4.1/saving-changes-nothing": (faults.SavingScrambles, "hidden_states.0"),
    "LIFE-6.1/missing": (faults.FillsWhatIsMissing, "encoder.layer"),
    "LIFE-6.1/misshapen": (faults.FillsWhatIsMissing, "encoder.layer"),
    "LIFE-6.2/missing-head": (faults.RefusesMissingHeads, "logits"),
    "LIFE-6.2/warning": (faults.Silent, "0 warnings"),
    "LIFE-6.3/num-labels": (faults.KeepsTheOldHead, "num_labels"),
    "LIFE-6.4/warning": (faults.Silent, "embed_positions"),
    "LIFE-6.4/stored-sinusoids": (faults.UsesTheStoredTable, "hidden_states.1"),
    "LIFE-6.5/longer": (faults.FixedLength, "max_position_embeddings"),
    "LIFE-6.6/hub-name": (faults.FileNotFoundAlone, "somebody/roformer-base"),
    "LIFE-6.7/no-network": (faults.PhonesHome, "127.0.0.1"),
    "OUT-1.1/base": (faults.NoPooler, "pooler_output"),
    "OUT-1.2/shapes": (faults.NoEmbeddingOutput, "hidden_states"),
    "OUT-1.2/last-state": (faults.LastStateTwice, "hidden_states"),
    "OUT-1.3/shapes": (faults.StackedAttentions, "attentions"),
    "OUT-1.3/query-before-key": (faults.KeysBeforeQueries, "attentions.0"),
    "OUT-1.4/after-head-mask": (faults.AttentionsBeforeHeadMask, "attentions.0"),
    "OUT-1.5/rows": (faults.LogProbabilities, "attentions.0"),
    "OUT-1.5/rows-under-head-mask": (faults.AttentionsBeforeHeadMask, "attentions.0"),
    "OUT-1.6/shapes": (faults.TransposedLogits, "logits"),
    "OUT-1.6/shapes-of-one": (faults.SqueezedOutputs, "has shape"),
    "OUT-1.6/no-softmax": (faults.ProbabilitiesForLogits, "logits"),
    "OUT-1.7/loss": (faults.ZeroLoss, "loss"),
    "OUT-1.9/past": (faults.PastComesLast, "element"),
    "OUT-2/extras": (faults.ExtrasForgetTypes, "last_hidden_state"),
    "OUT-3.1/tuple": (faults.LosesStatesInTuples, "tuple with output_attentions"),
    "OUT-3.2/cross-attentions": (faults.CrossComesFirst, "attentions"),
    "OUT-4.1/formula": (faults.TransposedPooler, "pooler_output"),
    "OUT-4.3/no-weights": (faults.RandomPooler, "pooler_output"),
    "OUT-4.3/warning": (faults.Silent, "pooler.dense.weight"),
    "OUT-4.4/no-warning": (faults.WarnsOfEverything, "pooler_output"),
    "OUT-4.4/switched-off": (faults.RandomPooler, "pooler_output"),
    "OUT-5.1/access": (faults.PlainDictOutputs, "last_hidden_state"),
    "OUT-5.2/iteration": (faults.ShowsAbsentFields, "loss"),
    "TOK-1.1/words": (faults.SplitsEveryWord, "input_ids"),
    "TOK-1.2/template": (faults.TypesFollowTheSeparator, "token_type_ids"),
    "TOK-1.3/recorded-texts": (faults.SplitsEveryWord, "input_ids"),
    "TOK-2.1/save-and-load": (faults.SavingLosesWords, "input_ids"),
    "TOK-2.1/saved-by-transformers": (faults.SplitsEveryWord, "input_ids"),
    "TOK-2.2/saving-changes-nothing": (faults.SavingChangesTheObject, "input_ids"),
    "TOK-2.3/vocabulary-only": (faults.SplitsEveryWord, "input_ids"),
    "TOK-3.1/numpy": (faults.AlwaysLists, "input_ids"),
    "TOK-3.2/mapping": (faults.PlainDictEncodings, "input_ids"),
    "TOK-3.3/special-ids": (faults.BertIds, "unk_token_id"),
    "TOK-3.4/decode": (faults.DecodesPieces, "decode(input_ids"),
    "TOK-3.5/recorded-calls": (faults.PaddingAttends, "attention_mask"),
    "TOK-3.6/offsets": (faults.OffsetsInBytes, "offset_mapping"),
    "TOK-3.6/windows": (faults.WindowsWithoutStride, "input_ids"),
    "TRAIN-1.1/repeated-calls": (faults.OneBuffer, "hidden_states.0"),
    "TRAIN-1.1/training-false": (faults.DropsInInference, "hidden_states.0"),
    "TRAIN-1.1/own-weights": (faults.KeepsTheCallersArrays, "hidden_states.0"),
    "TRAIN-1.1/two-models": (faults.OneCurrentModel, "hidden_states.0"),
    "TRAIN-1.2/hidden-dropout": (faults.UnscaledDropout, "hidden_states.0"),
    "TRAIN-1.2/attention-dropout": (faults.SharedDropout, "attentions.0"),
    "TRAIN-1.2/one": (faults.ZeroTimesInfinity, "hidden_states.0"),
    "TRAIN-1.3/zero": (faults.ZeroIsNotSet, "hidden_states.0"),
    "TRAIN-1.4/seeds": (faults.IgnoresTheSeed, "hidden_states.0"),
    "TRAIN-1.4/head-dropout": (faults.HeadsWithoutDropout, "logits"),
}
BOTH_WAYS = {
    "TRAIN-1.2/hidden-dropout": (faults.SharedDropout, faults.KeepProbability),
    "TRAIN-1.2/attention-dropout": (faults.UnscaledDropout, faults.KeepProbability),
    "TRAIN-1.4/seeds": (faults.OneSeed,),
}


def _messages(check: Check, adapter: NumpyAdapter, level: str, first: bool = False) -> list[str]:
    """What a run of one check complains about, on every head and type, or on the first head that has a complaint."""
    found = []
    for job in plan([check], Capabilities.of(adapter)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a faulty model may warn; a correct one is tried without this
            record = run_job(adapter, job, level, seed=0) if first else None
        record = record or run_job(adapter, job, level, seed=0)
        found += [record.message] if record.status == "failed" else []
        if first and found:
            break
    return found


def test_every_check_has_a_fault() -> None:
    """The table below names every check of these families, and nothing else."""
    assert CAUGHT.keys() == CHECKS.keys()


def test_every_fault_says_what_is_wrong_and_is_used() -> None:
    """A fault has a docstring that names the mistake, and at least one check that catches it."""
    used = {fault for fault, _ in CAUGHT.values()}.union(*BOTH_WAYS.values())
    abstract = {faults.Fault, faults.OtherTuple, faults.TokenizerFault}
    every = {
        item
        for _, item in inspect.getmembers(faults, inspect.isclass)
        if issubclass(item, faults.Fault) and item not in abstract
    }
    assert every == used
    assert all(fault.__doc__ and fault.__doc__.endswith(".") for fault in every)


@pytest.mark.parametrize("name", CHECKS)
def test_every_check_states_a_claim_of_the_specification(name: str) -> None:
    """The first line of its docstring is a sentence, and its clauses exist."""
    check = CHECKS[name]
    assert check.claim.endswith(".")
    assert {check.clause, *check.also} <= load_clauses().keys()


@pytest.mark.parametrize("level", ["smoke", "default"])
@pytest.mark.parametrize("name", CHECKS)
def test_every_check_passes_on_the_reference(name: str, level: str) -> None:
    """No check accuses the equations."""
    assert _messages(CHECKS[name], NumpyAdapter("equations"), level) == []


@pytest.mark.parametrize("name", CAUGHT)
def test_every_check_catches_its_fault(name: str) -> None:
    """The faulty implementation fails, and the message names the place."""
    fault, place = CAUGHT[name]
    messages = _messages(CHECKS[name], fault(), "default", first=True)
    assert messages, f"{name} does not catch {fault.__name__}: {fault.__doc__}"
    assert place in messages[0]


@pytest.mark.parametrize(("name", "fault"), [(name, fault) for name in BOTH_WAYS for fault in BOTH_WAYS[name]])
def test_checks_of_two_claims_catch_a_fault_of_each(name: str, fault: type[faults.Fault]) -> None:
    """Scale, share and independence of dropout are told apart from correct dropout, one by one."""
    assert _messages(CHECKS[name], fault(), "default", first=True)
