"""Good calls made bad in every way a caller may think of, and what the refusal of each must say."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import fractions
from collections import deque
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np

from ..support import BATCH, CHOICES, HEADS, LANGUAGE_MODELS, SEQ_LEN, SIZES, Call, lead_of

ROW, CHOICE, COLUMN = 2, 1, 3
V, T, C, MAX = SIZES["vocab_size"], SIZES["type_vocab_size"], SIZES["num_labels"], SIZES["max_position_embeddings"]
N, L, E, H = (SIZES[name] for name in ("num_attention_heads", "num_hidden_layers", "embedding_size", "hidden_size"))
D = H // N
DECODERS = ("base", "causal_lm")
WRITERS = ("causal_lm",)
SEQUENCES = ("sequence_classification",)
TAGS = ("token_classification",)
CHOOSERS = ("multiple_choice",)
ANSWERS = ("question_answering",)
TOKEN_LABELS = (*LANGUAGE_MODELS, "token_classification")
LABELLED = (*TOKEN_LABELS, "sequence_classification", "multiple_choice")
ONE_LABEL = {"num_labels": 1}
REGRESSION = {"problem_type": "regression"}
MULTI_LABEL = {"problem_type": "multi_label_classification"}
CROSS = {"add_cross_attention": True, "is_decoder": True}


@dataclasses.dataclass(frozen=True)
class Bad:
    """A good call made bad, and what its refusal must say.

    In `argument`, `value` and `allowed`, {at} stands for the position that was spoilt, {lead} for the shape of
    input_ids, {rank} for its rank.
    """

    id: str
    argument: str
    value: str
    allowed: str
    spoil: Callable[[Call, str], Call]
    error: type[Exception] = ValueError
    heads: tuple[str, ...] = HEADS
    config: Call = dataclasses.field(default_factory=dict)

    def texts(self, head: str) -> list[str]:
        """What the message must contain for this head."""
        place = (ROW, CHOICE, COLUMN) if head == "multiple_choice" else (ROW, COLUMN)
        lead = lead_of(head)
        facts = {"at": ", ".join(map(str, place)), "lead": str(lead), "rank": len(lead), "deep": str((1, *lead, 1))}
        return [text.format(**facts) for text in (self.argument, self.value, self.allowed)]


def give(**changes: Any) -> Callable[[Call, str], Call]:
    """The call with other arguments; a callable gets the head's name and makes the argument."""
    return lambda call, head: {
        **call,
        **{name: value(head) if callable(value) else value for name, value in changes.items()},
    }


def put(name: str, value: Any, dtype: Any = None) -> Callable[[Call, str], Call]:
    """The call with one element of one argument set to `value`."""

    def spoil(call: Call, head: str) -> Call:
        array = np.array(call[name], dtype or call[name].dtype)
        array[(ROW, CHOICE, COLUMN) if array.ndim == 3 else (ROW, COLUMN) if array.ndim == 2 else (ROW,)] = value
        return {**call, name: array}

    return spoil


def change(name: str, function: Callable[[Any], Any]) -> Callable[[Call, str], Call]:
    """The call with `function` applied to one argument."""
    return lambda call, head: {**call, name: function(call[name])}


def embeds(width: int = E, seq_len: int = SEQ_LEN, dtype: Any = np.float64) -> Callable[[str], Any]:
    """inputs_embeds for a head."""
    return lambda head: np.ones((*lead_of(head, seq_len=seq_len), width), dtype)


def zeros(seq_len: int, dtype: Any = np.int64) -> Callable[[str], Any]:
    """Zeros in the shape of input_ids with another length."""
    return lambda head: np.zeros(lead_of(head, seq_len=seq_len), dtype)


def cached(
    layers: int = L, batch: int = BATCH, heads: int = N, length: int = 3, width: int = D, arrays: int = 2
) -> tuple[tuple[np.ndarray, ...], ...]:
    """A cache of any structure."""
    return tuple(tuple(np.zeros((batch, heads, length, width)) for _ in range(arrays)) for _ in range(layers))


class Unarrayable:
    """An object that promises an array and gives none."""

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        raise TypeError("no array today")


def ids_of_type(name: str, value: Any, shown: str, allowed: str = "expected") -> Bad:
    """input_ids of a type that holds no ids."""
    return Bad(f"ids-{name}", "input_ids", shown, allowed, give(input_ids=lambda head: value), TypeError)


def as_type(name: str, dtype: Any) -> Bad:
    """Each of ids, token types and integer labels as a type that holds no integers."""
    return Bad(
        f"ids-dtype-{name}", "input_ids", np.dtype(dtype).name, "expected", change("input_ids", _cast(dtype)), TypeError
    )


def _cast(dtype: Any) -> Callable[[Any], Any]:
    return lambda array: array.astype(dtype)


ONE_SEQUENCE = [
    Bad("no-input", "input_ids", "neither was given", "inputs_embeds", give(input_ids=None)),
    Bad("both-inputs", "inputs_embeds", "both were given", "exactly one", give(inputs_embeds=embeds())),
    Bad(
        "both-inputs-one-of-them-garbage",
        "input_ids",
        "both were given",
        "exactly one",
        give(inputs_embeds="garbage"),
    ),
]

IDS = [
    Bad("id-minus-one", "input_ids[{at}]", "-1", f"0 to {V - 1}", put("input_ids", -1)),
    Bad("id-vocab-size", "input_ids[{at}]", str(V), f"0 to {V - 1}", put("input_ids", V)),
    Bad("id-ignore-index", "input_ids[{at}]", "-100", f"0 to {V - 1}", put("input_ids", -100)),
    Bad("id-int8", "input_ids[{at}]", "-128", f"0 to {V - 1}", put("input_ids", -128, np.int8)),
    Bad("id-uint8", "input_ids[{at}]", "255", f"0 to {V - 1}", put("input_ids", 255, np.uint8)),
    Bad("id-int64-lowest", "input_ids[{at}]", str(-(2**63)), f"0 to {V - 1}", put("input_ids", -(2**63))),
    Bad("id-int64-highest", "input_ids[{at}]", str(2**63 - 1), f"0 to {V - 1}", put("input_ids", 2**63 - 1)),
    Bad(
        "id-uint64-beyond-int64",
        "input_ids[{at}]",
        str(2**63 + 5),
        f"0 to {V - 1}",
        put("input_ids", 2**63 + 5, np.uint64),
    ),
    Bad(
        "id-uint64-that-would-wrap-to-minus-one",
        "input_ids[{at}]",
        str(2**64 - 1),
        f"0 to {V - 1}",
        put("input_ids", 2**64 - 1, np.uint64),
    ),
    Bad(
        "id-uint32-that-would-wrap-to-zero-in-int32",
        "input_ids[{at}]",
        str(2**32 - 1),
        f"0 to {V - 1}",
        put("input_ids", 2**32 - 1, np.uint32),
    ),
    Bad("id-2**70", "input_ids", str(2**70), "", put("input_ids", 2**70, object), TypeError),
    Bad("id-2**70-in-lists", "input_ids", str(2**70), "", give(input_ids=lambda head: [[2**70] * SEQ_LEN]), TypeError),
    Bad(
        "id-at-the-very-end",
        f"input_ids[{BATCH - 1},",
        str(V + 7),
        f"0 to {V - 1}",
        change("input_ids", lambda ids: np.append(ids.ravel()[:-1], V + 7).reshape(ids.shape)),
    ),
    Bad(
        "ids-all-wrong",
        "input_ids[0, 0",
        str(V),
        f"0 to {V - 1}",
        change("input_ids", lambda ids: np.full_like(ids, V)),
    ),
]

TOKEN_TYPES = [
    Bad("type-minus-one", "token_type_ids[{at}]", "-1", f"0 to {T - 1}", put("token_type_ids", -1)),
    Bad("type-vocab-size", "token_type_ids[{at}]", str(T), f"0 to {T - 1}", put("token_type_ids", T)),
    Bad("type-uint64", "token_type_ids[{at}]", str(2**64 - 1), f"0 to {T - 1}", put("token_type_ids", 2**64 - 1, "u8")),
    Bad("types-float", "token_type_ids", "float32", "integers", change("token_type_ids", _cast("f4")), TypeError),
    Bad("types-bool", "token_type_ids", "bool", "integers", change("token_type_ids", _cast(bool)), TypeError),
    Bad("types-text", "token_type_ids", "str", "expected", give(token_type_ids="0 0 0 1"), TypeError),
]

LENGTHS = [
    Bad("no-positions", "input_ids", "seq_len is 0", "1 and above", give(input_ids=zeros(0))),
    Bad("no-positions-in-a-list", "input_ids", "seq_len is 0", "1", give(input_ids=lambda head: _empty_list(head))),
    Bad(
        "no-positions-of-embeds",
        "inputs_embeds",
        "seq_len is 0",
        "1 and above",
        give(input_ids=None, inputs_embeds=embeds(seq_len=0)),
    ),
    Bad(
        "one-position-too-many",
        "input_ids",
        str(MAX + 1),
        f"1 to max_position_embeddings={MAX}",
        give(input_ids=zeros(MAX + 1)),
    ),
    Bad(
        "embeds-too-long",
        "inputs_embeds",
        str(MAX + 1),
        f"max_position_embeddings={MAX}",
        give(input_ids=None, inputs_embeds=embeds(seq_len=MAX + 1)),
    ),
    Bad(
        "no-choices",
        "input_ids",
        "choices is 0",
        "1 and above",
        give(input_ids=lambda head: np.zeros((BATCH, 0, SEQ_LEN), int)),
        heads=CHOOSERS,
    ),
]


def _empty_list(head: str) -> list[Any]:
    return [[[]]] if head == "multiple_choice" else [[]]


SHAPES = [
    Bad("ids-one-row", "input_ids", f"({SEQ_LEN},)", "rank {rank}", give(input_ids=lambda h: np.zeros(SEQ_LEN, int))),
    Bad("ids-rank-4", "input_ids", "{deep}", "rank {rank}", change("input_ids", lambda a: a[None, ..., None])),
    Bad("ids-number", "input_ids", "()", "rank {rank}", give(input_ids=lambda head: 7)),
    Bad("ids-numpy-number", "input_ids", "()", "rank {rank}", give(input_ids=lambda head: np.int64(7))),
    Bad(
        "ids-of-choices",
        "input_ids",
        "(2, 2, 5)",
        "rank 2",
        give(input_ids=lambda head: np.zeros((2, 2, 5), int)),
        heads=tuple(head for head in HEADS if head != "multiple_choice"),
    ),
    Bad(
        "ids-without-choices",
        "input_ids",
        "(4, 5)",
        "(batch, choices, seq_len)",
        give(input_ids=lambda head: np.zeros((4, 5), int)),
        heads=CHOOSERS,
    ),
    Bad("types-longer", "token_type_ids", "8)", "{lead}", give(token_type_ids=zeros(SEQ_LEN + 1))),
    Bad("types-one-row", "token_type_ids", "(1, ", "{lead}", change("token_type_ids", lambda a: a[:1])),
    Bad("types-rank", "token_type_ids", "(7,)", "{lead}", give(token_type_ids=lambda head: [0] * SEQ_LEN)),
    Bad("types-number", "token_type_ids", "()", "{lead}", give(token_type_ids=lambda head: 0)),
    Bad("mask-shorter", "attention_mask", "6)", "{lead}", give(attention_mask=zeros(SEQ_LEN - 1))),
    Bad("mask-transposed", "attention_mask", "(7, ", "{lead}", change("attention_mask", lambda a: a.T)),
    Bad("mask-one-row", "attention_mask", "(1, ", "{lead}", change("attention_mask", lambda a: a[:1])),
    Bad("mask-one-column", "attention_mask", " 1)", "{lead}", change("attention_mask", lambda a: a[..., :1])),
    Bad("mask-number", "attention_mask", "()", "{lead}", give(attention_mask=lambda head: 1)),
    Bad(
        "mask-by-query",
        "attention_mask",
        "7, 7)",
        "{lead}",
        change("attention_mask", lambda a: np.repeat(a[..., None], SEQ_LEN, -1)),
    ),
    Bad("mask-other-batch", "attention_mask", "(3, ", "{lead}", change("attention_mask", lambda a: a[:3])),
    Bad("embeds-width-hidden", "inputs_embeds", f"{H})", f"{E})", give(input_ids=None, inputs_embeds=embeds(H))),
    Bad(
        "embeds-of-ids-rank",
        "inputs_embeds",
        "{lead}",
        "embedding_size",
        give(input_ids=None, inputs_embeds=lambda head: np.ones(lead_of(head))),
    ),
    Bad("embeds-number", "inputs_embeds", "()", "rank", give(input_ids=None, inputs_embeds=lambda head: 0.5)),
]

TYPES = [
    as_type("float32", np.float32),
    as_type("float64", np.float64),
    as_type("float16", np.float16),
    as_type("bfloat16", ml_dtypes.bfloat16),
    as_type("bool", np.bool_),
    as_type("complex", np.complex64),
    as_type("longdouble", np.longdouble),
    Bad("ids-of-words", "input_ids", "str", "expected numbers", give(input_ids=lambda h: [["ab", "cd"]]), TypeError),
    Bad("ids-text-digits", "input_ids", "str", "numbers", change("input_ids", _cast(str)), TypeError),
    Bad("ids-bytes-array", "input_ids", "bytes", "numbers", change("input_ids", _cast("S3")), TypeError),
    Bad("ids-objects", "input_ids", "None", "numbers", put("input_ids", None, object), TypeError),
    Bad("ids-dates", "input_ids", "date", "numbers", change("input_ids", _cast("M8[D]")), TypeError),
    Bad("ids-durations", "input_ids", "timedelta", "numbers", change("input_ids", _cast("m8[s]")), TypeError),
    Bad(
        "ids-records",
        "input_ids",
        "i4",
        "numbers",
        give(input_ids=lambda head: np.zeros(lead_of(head), [("id", "i4")])),
        TypeError,
    ),
    Bad("ids-nan", "input_ids", "float64", "integers", change("input_ids", lambda a: a * np.nan), TypeError),
    Bad("ids-2.0", "input_ids", "2.0", "integers", change("input_ids", lambda a: a * 0 + 2.0), TypeError),
    ids_of_type("string", "今天天气非常好", "str"),
    ids_of_type("bytes", b"\x01\x02", "bytes"),
    ids_of_type("bytearray", bytearray(b"\x01\x02"), "bytearray"),
    ids_of_type("memoryview", memoryview(b"\x01\x02"), "memoryview"),
    ids_of_type("set", {1, 2, 3}, "set"),
    ids_of_type("frozenset", frozenset((1, 2)), "frozenset"),
    ids_of_type("dict", {"input_ids": [[1, 2]]}, "dict"),
    ids_of_type("deque", deque([1, 2]), "deque"),
    ids_of_type("range", range(4), "range"),
    ids_of_type("generator", (number for number in (1, 2)), "generator"),
    ids_of_type("iterator", iter([1, 2]), "iterator"),
    ids_of_type("class", int, "type"),
    ids_of_type("function", len, "builtin_function"),
    ids_of_type("object", object(), "object"),
    ids_of_type("ellipsis", ..., "ellipsis"),
    ids_of_type("complex-number", 1 + 2j, "complex"),
    ids_of_type("decimal", decimal.Decimal(3), "Decimal"),
    ids_of_type("fraction", fractions.Fraction(3, 4), "Fraction"),
    ids_of_type("date", datetime.date(2021, 4, 20), "date"),
    ids_of_type("masked-array", np.ma.masked_equal(np.ones((BATCH, SEQ_LEN), int), 1), "masked array", "plain array"),
    ids_of_type("broken-array", Unarrayable(), "Unarrayable", "gives no array"),
    Bad("ids-ragged", "input_ids", "[2, 1]", "one length", give(input_ids=lambda head: [[1, 2], [3]])),
    Bad(
        "ids-ragged-deep",
        "input_ids",
        "unequal",
        "one length",
        give(input_ids=lambda head: [[[1], [2, 3]], [[4], [5]]]),
    ),
    Bad("ids-hole", "input_ids", "None", "", give(input_ids=lambda head: [[1, None], [2, 3]]), TypeError),
    Bad("ids-number-beside-list", "input_ids", "unequal", "one length", give(input_ids=lambda head: [[1, 2], 3])),
    Bad("ids-dict-in-list", "input_ids", "dict", "numbers", give(input_ids=lambda head: [{"a": 1}]), TypeError),
    Bad("ids-set-in-list", "input_ids", "set", "numbers", give(input_ids=lambda head: [{1}, {2}]), TypeError),
]

MASKS = [
    Bad("mask-2", "attention_mask[{at}]", "2", "0 (masked) and 1 (attend)", put("attention_mask", 2)),
    Bad("mask-minus-1", "attention_mask[{at}]", "-1", "0 (masked) and 1 (attend)", put("attention_mask", -1)),
    Bad("mask-half", "attention_mask[{at}]", "0.5", "0 (masked) and 1", put("attention_mask", 0.5, "f4")),
    Bad("mask-nan", "attention_mask[{at}]", "nan", "0 (masked) and 1", put("attention_mask", np.nan, "f8")),
    Bad("mask-infinite", "attention_mask[{at}]", "inf", "0 (masked) and 1", put("attention_mask", np.inf, "f2")),
    Bad("mask-additive", "attention_mask[{at}]", "-10000.0", "0 (masked)", put("attention_mask", -10000.0, "f8")),
    Bad("mask-uint64", "attention_mask[{at}]", str(2**64 - 1), "0 (masked)", put("attention_mask", 2**64 - 1, "u8")),
    Bad("mask-nearly-1", "attention_mask[{at}]", "0.999", "0 (masked)", put("attention_mask", 0.999999999, "f8")),
    Bad("mask-complex", "attention_mask", "complex128", "0 and 1", change("attention_mask", _cast("c16")), TypeError),
    Bad("mask-text", "attention_mask", "str", "expected", give(attention_mask="1 1 1 0"), TypeError),
    Bad("mask-of-texts", "attention_mask", "str", "numbers", change("attention_mask", _cast(str)), TypeError),
    Bad("mask-set", "attention_mask", "set", "expected", give(attention_mask=lambda head: {0, 1}), TypeError),
    Bad("mask-objects", "attention_mask", "object", "numbers", change("attention_mask", _cast(object)), TypeError),
    Bad(
        "mask-masked-array",
        "attention_mask",
        "masked array",
        "plain array",
        change("attention_mask", lambda array: np.ma.masked_less(array, 1)),
        TypeError,
    ),
]

LABELS = [
    Bad("label-minus-one", "labels[{at}]", "-1", f"0 to {V - 1}, or -100", put("labels", -1), heads=LANGUAGE_MODELS),
    Bad("label-vocab-size", "labels[{at}]", str(V), f"0 to {V - 1}, or -100", put("labels", V), heads=LANGUAGE_MODELS),
    Bad(
        "label-minus-101", "labels[{at}]", "-101", f"0 to {V - 1}, or -100", put("labels", -101), heads=LANGUAGE_MODELS
    ),
    Bad("label-minus-99", "labels[{at}]", "-99", f"0 to {V - 1}, or -100", put("labels", -99), heads=LANGUAGE_MODELS),
    Bad(
        "label-uint64",
        "labels[{at}]",
        str(2**64 - 100),
        f"0 to {V - 1}",
        put("labels", 2**64 - 100, "u8"),
        heads=LANGUAGE_MODELS,
    ),
    Bad("tag-num-labels", "labels[{at}]", str(C), f"0 to {C - 1}, or -100", put("labels", C), heads=TAGS),
    Bad("tag-minus-one", "labels[{at}]", "-1", f"0 to {C - 1}, or -100", put("labels", -1), heads=TAGS),
    Bad("class-num-labels", f"labels[{ROW}]", str(C), f"0 to {C - 1}", put("labels", C), heads=SEQUENCES),
    Bad("class-minus-one", f"labels[{ROW}]", "-1", f"0 to {C - 1}", put("labels", -1), heads=SEQUENCES),
    Bad("class-ignore-index", f"labels[{ROW}]", "-100", f"0 to {C - 1}", put("labels", -100), heads=SEQUENCES),
    Bad(
        "choice-too-large",
        f"labels[{ROW}]",
        str(CHOICES),
        f"0 to {CHOICES - 1}",
        put("labels", CHOICES),
        heads=CHOOSERS,
    ),
    Bad("choice-ignore-index", f"labels[{ROW}]", "-100", f"0 to {CHOICES - 1}", put("labels", -100), heads=CHOOSERS),
    Bad("labels-float", "labels", "float32", "integers", change("labels", _cast("f4")), TypeError, LABELLED),
    Bad("labels-bool", "labels", "bool", "integers", change("labels", _cast(bool)), TypeError, LABELLED),
    Bad("labels-text", "labels", "str", "expected", give(labels="positive"), TypeError, LABELLED),
    Bad("labels-of-texts", "labels", "str", "numbers", change("labels", _cast(str)), TypeError, LABELLED),
    Bad("labels-number", "labels", "()", "batch", give(labels=lambda head: 1), heads=LABELLED),
    Bad("labels-deeper", "labels", ", 1)", "batch", change("labels", lambda array: array[..., None]), heads=LABELLED),
    Bad("labels-one-row-less", "labels", "(3", f"({BATCH}", change("labels", lambda array: array[:3]), heads=LABELLED),
    Bad(
        "labels-flat",
        "labels",
        f"({BATCH * SEQ_LEN},)",
        "(batch, seq_len)",
        change("labels", np.ravel),
        heads=TOKEN_LABELS,
    ),
    Bad(
        "labels-per-row",
        "labels",
        f"({BATCH},)",
        "(batch, seq_len)",
        change("labels", lambda a: a[:, 0]),
        heads=TOKEN_LABELS,
    ),
    Bad("labels-longer", "labels", "(4, 8)", "(4, 7)", give(labels=zeros(SEQ_LEN + 1)), heads=TOKEN_LABELS),
    Bad(
        "labels-one-hot",
        "labels",
        f"({BATCH}, {C})",
        f"({BATCH},)",
        give(labels=lambda h: np.ones((BATCH, C), int)),
        heads=SEQUENCES,
    ),
    Bad(
        "labels-of-base", "'labels'", "not an argument", "input_ids", give(labels=zeros(SEQ_LEN)), TypeError, ("base",)
    ),
    Bad(
        "start-of-others",
        "'start_positions'",
        "not an argument",
        "input_ids",
        give(start_positions=lambda h: [0] * BATCH),
        TypeError,
        (*LABELLED, "base"),
    ),
    Bad(
        "labels-of-answers",
        "'labels'",
        "not an argument",
        "start_positions",
        give(labels=lambda h: [0] * BATCH),
        TypeError,
        ANSWERS,
    ),
    Bad("start-alone", "start_positions", "without end_positions", "both", give(end_positions=None), heads=ANSWERS),
    Bad("end-alone", "end_positions", "without start_positions", "both", give(start_positions=None), heads=ANSWERS),
    Bad("start-negative", f"start_positions[{ROW}]", "-1", "0 and above", put("start_positions", -1), heads=ANSWERS),
    Bad("end-ignore-index", f"end_positions[{ROW}]", "-100", "0 and above", put("end_positions", -100), heads=ANSWERS),
    Bad(
        "start-float",
        "start_positions",
        "float64",
        "integers",
        change("start_positions", _cast(float)),
        TypeError,
        ANSWERS,
    ),
    Bad(
        "end-column",
        "end_positions",
        "(4, 1)",
        "(4,)",
        change("end_positions", lambda array: array[:, None]),
        heads=ANSWERS,
    ),
    Bad("end-number", "end_positions", "()", "(4,)", give(end_positions=lambda head: 1), heads=ANSWERS),
    Bad(
        "target-nan",
        "labels[2",
        "nan",
        "finite",
        change("labels", lambda a: np.where(np.arange(BATCH) == ROW, np.nan, 0.5)),
        heads=SEQUENCES,
        config=ONE_LABEL,
    ),
    Bad(
        "target-infinite",
        "labels[2",
        "inf",
        "finite",
        change("labels", lambda a: np.where(np.arange(BATCH) == ROW, np.inf, 0.5)),
        heads=SEQUENCES,
        config=ONE_LABEL,
    ),
    Bad(
        "target-beyond-float64",
        "labels",
        "",
        "",
        give(labels=lambda head: [10**400] * BATCH),
        Exception,
        SEQUENCES,
        ONE_LABEL,
    ),
    Bad(
        "target-two-columns",
        "labels",
        "(4, 2)",
        "(4",
        give(labels=lambda head: np.zeros((BATCH, 2))),
        heads=SEQUENCES,
        config=ONE_LABEL,
    ),
    Bad(
        "targets-missing-columns",
        "labels",
        "(4,)",
        f"(4, {C})",
        give(labels=lambda head: np.zeros(BATCH)),
        heads=SEQUENCES,
        config=REGRESSION,
    ),
    Bad(
        "targets-complex",
        "labels",
        "complex128",
        "real",
        give(labels=lambda head: np.zeros((BATCH, C), complex)),
        TypeError,
        SEQUENCES,
        REGRESSION,
    ),
    Bad(
        "multi-label-2",
        f"labels[{ROW}, 0]",
        "2",
        "0 to 1",
        give(labels=lambda head: np.eye(BATCH, C, -ROW) * 2),
        heads=SEQUENCES,
        config=MULTI_LABEL,
    ),
    Bad(
        "multi-label-negative",
        f"labels[{ROW}, 0]",
        "-1",
        "0 to 1",
        give(labels=lambda head: -np.eye(BATCH, C, -ROW)),
        heads=SEQUENCES,
        config=MULTI_LABEL,
    ),
    Bad(
        "multi-label-classes",
        "labels",
        "(4,)",
        f"(4, {C})",
        give(labels=lambda head: [0, 1, 0, 1]),
        heads=SEQUENCES,
        config=MULTI_LABEL,
    ),
]

HEAD_MASKS = [
    Bad("heads-one-too-many", "head_mask", f"({N + 1},)", f"({L}, {N})", give(head_mask=lambda h: np.ones(N + 1))),
    Bad(
        "heads-by-layers-swapped", "head_mask", f"({N}, {L})", f"({L}, {N})", give(head_mask=lambda h: np.ones((N, L)))
    ),
    Bad("heads-one-layer", "head_mask", f"(1, {N})", f"({L}, {N})", give(head_mask=lambda h: np.ones((1, N)))),
    Bad("heads-rank-3", "head_mask", f"(1, {L}, {N})", f"({N},)", give(head_mask=lambda h: np.ones((1, L, N)))),
    Bad("heads-number", "head_mask", "()", f"({N},)", give(head_mask=lambda head: 1)),
    Bad("heads-none", "head_mask", "(0,)", f"({N},)", give(head_mask=lambda head: np.ones(0))),
    Bad("heads-2", "head_mask[1]", "is 2,", "0 to 1", give(head_mask=lambda head: [1, 2, 1])),
    Bad("heads-minus-1", "head_mask[1, 2]", "is -1,", "0 to 1", give(head_mask=lambda h: [[1, 1, 1], [1, 1, -1]])),
    Bad("heads-nan", "head_mask[0]", "nan", "0 to 1", give(head_mask=lambda head: [np.nan, 1, 1])),
    Bad("heads-infinite", "head_mask[2]", "inf", "0 to 1", give(head_mask=lambda head: [0.0, 1, np.inf])),
    Bad("heads-texts", "head_mask", "str", "numbers", give(head_mask=lambda head: ["1", "0", "1"]), TypeError),
    Bad("heads-text", "head_mask", "str", "expected", give(head_mask="101"), TypeError),
    Bad("heads-dict", "head_mask", "dict", "expected", give(head_mask=lambda head: {0: [1]}), TypeError),
    Bad("heads-complex", "head_mask", "complex128", "real", give(head_mask=lambda h: np.ones(N, complex)), TypeError),
    Bad("heads-ragged", "head_mask", "[3, 2]", "one length", give(head_mask=lambda head: [[1, 1, 1], [1, 1]])),
]

EMBEDS = [
    Bad(
        "embeds-integers",
        "inputs_embeds",
        "int64",
        "floating-point",
        give(input_ids=None, inputs_embeds=embeds(dtype=int)),
        TypeError,
    ),
    Bad(
        "embeds-bool",
        "inputs_embeds",
        "bool",
        "floating-point",
        give(input_ids=None, inputs_embeds=embeds(dtype=bool)),
        TypeError,
    ),
    Bad(
        "embeds-complex",
        "inputs_embeds",
        "complex64",
        "floating-point",
        give(input_ids=None, inputs_embeds=embeds(dtype="c8")),
        TypeError,
    ),
    Bad(
        "embeds-objects",
        "inputs_embeds",
        "object",
        "numbers",
        give(input_ids=None, inputs_embeds=embeds(dtype=object)),
        TypeError,
    ),
    Bad("embeds-text", "inputs_embeds", "str", "expected", give(input_ids=None, inputs_embeds="0.5"), TypeError),
]

SWITCHES = [
    Bad(
        f"switch-{name}-{shown}", name, shown, "True, False", give(**{name: lambda head, value=value: value}), TypeError
    )
    for name in ("output_attentions", "output_hidden_states", "return_dict", "training")
    for shown, value in (("1", 1), ("0.0", 0.0), ("'yes'", "yes"), ("array(True)", np.array(True)), ("[True]", [True]))
]

# Arguments without a position: they cannot stand in a list.
BY_NAME_ONLY = [
    Bad("generator-text", "generator", "'seed'", "seed", give(generator="seed"), TypeError),
    Bad("generator-negative", "generator", "-1", "seed", give(generator=-1), TypeError),
    Bad("generator-fraction", "generator", "1.5", "seed", give(generator=1.5), TypeError),
    Bad("generator-object", "generator", "object", "seed", give(generator=object()), TypeError),
    Bad(
        "unknown-with-a-likely-meaning",
        "'atention_mask'",
        "did you mean 'attention_mask'",
        "token_type_ids",
        give(atention_mask=[[1]]),
        TypeError,
    ),
    Bad("unknown-plural", "'input_id'", "did you mean 'input_ids'", "attention_mask", give(input_id=[[1]]), TypeError),
    Bad(
        "unknown-of-another-library",
        "'position_ids'",
        "not an argument",
        "input_ids",
        give(position_ids=[[0]]),
        TypeError,
    ),
    Bad("unknown-even-when-none", "'zzz'", "not an argument", "input_ids", give(zzz=None), TypeError),
    Bad("unknown-in-chinese", "'输入'", "not an argument", "input_ids", give(输入=[[1]]), TypeError),
    Bad("unknown-components", "'weights'", "not an argument", "input_ids", give(weights=None), TypeError),
    Bad("cache-without-a-decoder", "use_cache", "True", "is_decoder", give(use_cache=True), heads=("base",)),
    Bad("cache-switch", "use_cache", "1", "True, False", give(use_cache=1), TypeError, DECODERS),
    Bad(
        "past-without-a-decoder",
        "past_key_values",
        "is_decoder",
        "decoder",
        give(past_key_values=cached()),
        heads=("base",),
    ),
    *(
        Bad(
            f"{name}-of-other-heads",
            f"'{name}'",
            "not an argument",
            "input_ids",
            give(**{name: None}),
            TypeError,
            tuple(head for head in HEADS if head not in DECODERS),
        )
        for name in ("past_key_values", "use_cache", "encoder_hidden_states", "encoder_attention_mask")
    ),
    Bad("past-text", "past_key_values", "str", "tuple", give(past_key_values="past"), TypeError, WRITERS),
    Bad(
        "past-array",
        "past_key_values",
        "ndarray",
        "tuple",
        give(past_key_values=np.zeros((L, 2, BATCH, N, 3, D))),
        TypeError,
        WRITERS,
    ),
    Bad("past-dict", "past_key_values", "dict", "tuple", give(past_key_values={0: ()}), TypeError, WRITERS),
    Bad("past-flat", "past_key_values", "tuple", "(key, value)", give(past_key_values=cached()[0]), TypeError, WRITERS),
    Bad("past-empty", "past_key_values", "0 layers", f"={L}", give(past_key_values=()), ValueError, WRITERS),
    Bad(
        "past-one-layer-too-many",
        "past_key_values",
        f"{L + 1} layers",
        f"={L}",
        give(past_key_values=cached(L + 1)),
        ValueError,
        WRITERS,
    ),
    Bad(
        "past-keys-alone",
        "past_key_values[0]",
        "1 arrays",
        "2",
        give(past_key_values=cached(arrays=1)),
        ValueError,
        WRITERS,
    ),
    Bad(
        "past-cross-pair-unasked",
        "past_key_values[0]",
        "4 arrays",
        "2",
        give(past_key_values=cached(arrays=4)),
        ValueError,
        WRITERS,
    ),
    Bad(
        "past-three-arrays",
        "past_key_values[0]",
        "3 arrays",
        "2 or 4",
        give(past_key_values=cached(arrays=3)),
        ValueError,
        WRITERS,
        {"add_cross_attention": True},
    ),
    Bad(
        "past-other-batch",
        "past_key_values[0][0]",
        "(3, 3, 3, 6)",
        "(4, 3, 3, 6)",
        give(past_key_values=cached(batch=3)),
        ValueError,
        WRITERS,
    ),
    Bad(
        "past-other-heads",
        "past_key_values[0][0]",
        "(4, 2, 3, 6)",
        "(4, 3, 3, 6)",
        give(past_key_values=cached(heads=2)),
        ValueError,
        WRITERS,
    ),
    Bad(
        "past-other-width",
        "past_key_values[0][0]",
        "(4, 3, 3, 5)",
        "(4, 3, 3, 6)",
        give(past_key_values=cached(width=5)),
        ValueError,
        WRITERS,
    ),
    Bad(
        "past-rank",
        "past_key_values[0][0]",
        "(4, 3, 6)",
        "head_dim",
        give(past_key_values=tuple((np.zeros((4, 3, 6)),) * 2 for _ in range(L))),
        ValueError,
        WRITERS,
    ),
    Bad(
        "past-lengths-in-a-layer",
        "past_key_values",
        "[3, 4]",
        "one length",
        give(past_key_values=tuple((np.zeros((BATCH, N, 3, D)), np.zeros((BATCH, N, 4, D))) for _ in range(L))),
        ValueError,
        WRITERS,
    ),
    Bad(
        "past-lengths-of-layers",
        "past_key_values",
        "[2, 3]",
        "one length",
        give(past_key_values=(*cached(1, length=3), *cached(1, length=2))),
        ValueError,
        WRITERS,
    ),
    Bad(
        "past-integers",
        "past_key_values[0][0]",
        "int64",
        "floating-point",
        give(past_key_values=tuple((np.zeros((BATCH, N, 3, D), int),) * 2 for _ in range(L))),
        TypeError,
        WRITERS,
    ),
    Bad(
        "past-too-long",
        "input_ids",
        f"{MAX - SEQ_LEN + 1} cached",
        f"={MAX}",
        give(attention_mask=None, past_key_values=cached(length=MAX - SEQ_LEN + 1)),
        ValueError,
        WRITERS,
    ),
    Bad(
        "past-with-mask-of-new-tokens-only",
        "attention_mask",
        "(4, 7)",
        "(4, 10)",
        give(past_key_values=cached()),
        ValueError,
        WRITERS,
    ),
    Bad(
        "encoder-without-cross-attention",
        "encoder_hidden_states",
        "add_cross_attention=False",
        "",
        give(encoder_hidden_states=np.zeros((BATCH, 5, H))),
        ValueError,
        DECODERS,
    ),
    Bad(
        "encoder-mask-alone",
        "encoder_attention_mask",
        "without encoder_hidden_states",
        "",
        give(encoder_attention_mask=np.ones((BATCH, 5))),
        ValueError,
        DECODERS,
        CROSS,
    ),
    Bad(
        "encoder-width",
        "encoder_hidden_states",
        f"(4, 5, {E})",
        f"(4, 5, {H})",
        give(encoder_hidden_states=np.zeros((BATCH, 5, E))),
        ValueError,
        DECODERS,
        CROSS,
    ),
    Bad(
        "encoder-batch",
        "encoder_hidden_states",
        f"(1, 5, {H})",
        f"(4, 5, {H})",
        give(encoder_hidden_states=np.zeros((1, 5, H))),
        ValueError,
        DECODERS,
        CROSS,
    ),
    Bad(
        "encoder-rank",
        "encoder_hidden_states",
        f"(5, {H})",
        "encoder_len",
        give(encoder_hidden_states=np.zeros((5, H))),
        ValueError,
        DECODERS,
        CROSS,
    ),
    Bad(
        "encoder-empty",
        "encoder_hidden_states",
        f"(4, 0, {H})",
        "(4, 1,",
        give(encoder_hidden_states=np.zeros((BATCH, 0, H))),
        ValueError,
        DECODERS,
        CROSS,
    ),
    Bad(
        "encoder-integers",
        "encoder_hidden_states",
        "int64",
        "floating-point",
        give(encoder_hidden_states=np.zeros((BATCH, 5, H), int)),
        TypeError,
        DECODERS,
        CROSS,
    ),
    Bad(
        "encoder-mask-longer",
        "encoder_attention_mask",
        "(4, 6)",
        "(4, 5)",
        give(encoder_hidden_states=np.zeros((BATCH, 5, H)), encoder_attention_mask=np.ones((BATCH, 6))),
        ValueError,
        DECODERS,
        CROSS,
    ),
    Bad(
        "encoder-mask-2",
        "encoder_attention_mask[0, 0]",
        "2",
        "0 (masked) and 1",
        give(encoder_hidden_states=np.zeros((BATCH, 5, H)), encoder_attention_mask=np.full((BATCH, 5), 2)),
        ValueError,
        DECODERS,
        CROSS,
    ),
]

POSITIONAL = [
    *ONE_SEQUENCE,
    *IDS,
    *TOKEN_TYPES,
    *LENGTHS,
    *SHAPES,
    *TYPES,
    *MASKS,
    *LABELS,
    *HEAD_MASKS,
    *EMBEDS,
    *SWITCHES,
]
