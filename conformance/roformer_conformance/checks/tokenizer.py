"""TOK: from text to ids, held against recorded calls of transformers 4.37."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from ..registry import check
from ..resources import fixtures_folder, scratch
from ..strategies import Case
from ..trial import Trial, expect

SENTENCE = "今天天气非常好，我们一起去公园散步。Hello, my dog is cute 😀"
QUESTION = "量子计算机的纠错码令人着迷吗？"
SPECIAL = {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}

# Nothing is drawn for a tokenizer: once is enough.
ONCE = 0.1
Json = Mapping[str, Any]


@check("TOK-1.1", "words", needs=("tokenizer",), effort=ONCE)
def words_of_the_vocabulary_are_one_piece(trial: Trial, case: Case) -> None:
    """Chinese text is split into words; one in the vocabulary is one piece, another one its characters: as recorded."""
    _equals_recorded(trial, (name for name in _golden() if name.startswith("chinese_")), ("input_ids",))


@check("TOK-1.2", "template", needs=("tokenizer",), effort=ONCE)
def the_template_puts_special_tokens_in_place(trial: Trial, case: Case) -> None:
    """A text is [CLS] A [SEP], a pair [CLS] A [SEP] B [SEP], with types 0 up to the first [SEP] and 1 after it."""
    with _tokenizer(trial) as tokenizer:
        first, second = (tokenizer(text, add_special_tokens=False)["input_ids"] for text in (SENTENCE, QUESTION))
        cls, sep = _vocabulary()["[CLS]"], _vocabulary()["[SEP]"]
        alone = [cls, *first, sep]
        _same("input_ids of one text", tokenizer(SENTENCE)["input_ids"], alone)
        _same("token_type_ids of one text", tokenizer(SENTENCE)["token_type_ids"], [0] * len(alone))
        pair = tokenizer(SENTENCE, QUESTION)
        _same("input_ids of a pair", pair["input_ids"], [*alone, *second, sep])
        _same("token_type_ids of a pair", pair["token_type_ids"], [0] * len(alone) + [1] * (len(second) + 1))


@check("TOK-1.3", "recorded-texts", needs=("tokenizer",), effort=ONCE)
def texts_equal_the_recorded_ones(trial: Trial, case: Case) -> None:
    """Poems, English, mixed scripts, emoji, accents and odd characters give the ids that transformers 4.37 gave."""
    names = [name for name, item in _golden().items() if item["call"].keys() == {"text"}]
    _equals_recorded(trial, names, ("input_ids", "token_type_ids", "attention_mask"))


@check("TOK-1.3", "controls-inside-words", needs=("tokenizer",), effort=ONCE)
def control_characters_inside_words_vanish(trial: Trial, case: Case) -> None:
    """Control and format characters inside Chinese and English words change no id: words close over them."""
    with _tokenizer(trial) as tokenizer:
        expected = tokenizer(SENTENCE)["input_ids"]
        for control in ("\x00", "\x07", "\x7f", "\xad", "\u200b"):
            text = SENTENCE.replace("我们", f"我{control}们").replace("Hello", f"Hel{control}lo")
            _same(f"input_ids with {control!r} inside words", tokenizer(text)["input_ids"], expected)


@check("TOK-2.1", "save-and-load", needs=("tokenizer",), effort=ONCE)
def saving_keeps_behaviour(trial: Trial, case: Case) -> None:
    """A tokenizer that is saved and loaded again gives the same ids."""
    adapter: Any = trial.adapter
    with _tokenizer(trial) as tokenizer, scratch() as folder:
        tokenizer.save_pretrained(folder)
        again = adapter.tokenizer(folder)
        expected = tokenizer(SENTENCE)["input_ids"]
        _same("input_ids after save and load", again(SENTENCE)["input_ids"], expected)


@check("TOK-2.1", "saved-by-transformers", needs=("tokenizer",), effort=ONCE)
def folders_of_transformers_keep_behaviour(trial: Trial, case: Case) -> None:
    """Folders that transformers 4.37 and 5 saved give the ids that transformers 4.37 gave before saving."""
    adapter: Any = trial.adapter
    folders = fixtures_folder() / "tokenization"
    # transformers 5 had lost the word split before it saved: 4.37 is the witness for both
    for name, witness in (("4.37", "4.37"), ("4.37_bert", "4.37_bert"), ("5", "4.37")):
        file = folders / f"saved_by_transformers_{witness}" / "before_saving.json"
        before = json.loads(file.read_text(encoding="utf-8"))
        got = adapter.tokenizer(str(folders / f"saved_by_transformers_{name}"))(before["text"])["input_ids"]
        _same(f"input_ids of {before['text']!r} from saved_by_transformers_{name}", got, before["input_ids"])


@check("TOK-2.2", "saving-changes-nothing", needs=("tokenizer",), effort=ONCE)
def saving_changes_nothing(trial: Trial, case: Case) -> None:
    """The tokenizer in memory gives the same ids after it was saved."""
    with _tokenizer(trial) as tokenizer, scratch() as folder:
        before = list(tokenizer(SENTENCE)["input_ids"])
        tokenizer.save_pretrained(folder)
        _same("input_ids of the tokenizer in memory after saving", tokenizer(SENTENCE)["input_ids"], before)


@check("TOK-2.3", "vocabulary-only", needs=("tokenizer",), effort=ONCE)
def a_vocabulary_alone_is_a_word_tokenizer(trial: Trial, case: Case) -> None:
    """A folder with nothing but vocab.txt loads as the word tokenizer: a word of the vocabulary is one piece."""
    with _tokenizer(trial) as tokenizer:
        for word in ("非常", "我们", "一起", "公园"):
            got = tokenizer(word, add_special_tokens=False)["input_ids"]
            _same(f"input_ids of {word!r}, a word of the vocabulary", got, [_vocabulary()[word]])


@check("TOK-3.1", "numpy", needs=("tokenizer",), effort=ONCE)
def return_tensors_gives_arrays(trial: Trial, case: Case) -> None:
    """return_tensors="np" gives integer arrays with a batch axis, of the numbers that lists hold."""
    with _tokenizer(trial) as tokenizer:
        lists = tokenizer([SENTENCE, QUESTION], padding=True)
        arrays = tokenizer([SENTENCE, QUESTION], padding=True, return_tensors="np")
        for name in ("input_ids", "token_type_ids", "attention_mask"):
            got = arrays[name]
            expect(isinstance(got, np.ndarray), f"{name} is a {type(got).__name__}, expected a NumPy array")
            expect(got.dtype.kind == "i", f"{name} has dtype {got.dtype}, expected integers")
            _same(f"{name} with return_tensors='np'", got.tolist(), lists[name])
        single = tokenizer(QUESTION, return_tensors="np")["input_ids"]
        expect(single.ndim == 2, f"input_ids of one text has shape {single.shape}, expected (1, length)")


@check("TOK-3.2", "mapping", needs=("tokenizer",), effort=ONCE)
def the_result_is_a_mapping_with_attributes(trial: Trial, case: Case) -> None:
    """The result is a mapping of input_ids, token_type_ids and attention_mask, whose keys are attributes too."""
    with _tokenizer(trial) as tokenizer:
        encoding = tokenizer(SENTENCE)
        expect(isinstance(encoding, Mapping), f"the result is a {type(encoding).__name__}, expected a Mapping")
        for name in ("input_ids", "token_type_ids", "attention_mask"):
            expect(name in encoding, f"{name} is not in the result, which holds {', '.join(encoding)}")
            _same(f"{name} by attribute", getattr(encoding, name, None), encoding[name])


@check("TOK-3.3", "special-ids", needs=("tokenizer",), effort=ONCE)
def special_ids_are_those_of_the_vocabulary(trial: Trial, case: Case) -> None:
    """mask_token_id, pad_token_id, unk_token_id, cls_token_id and sep_token_id are the ids of the vocabulary."""
    with _tokenizer(trial) as tokenizer:
        for name, token in SPECIAL.items():
            _same(f"{name}_token_id", getattr(tokenizer, f"{name}_token_id", None), _vocabulary()[token])


@check("TOK-3.4", "decode", needs=("tokenizer",), effort=ONCE)
def decoded_text_equals_the_recorded_one(trial: Trial, case: Case) -> None:
    """decode makes the recorded text of ids, with and without special tokens, from lists and from NumPy integers."""
    with _tokenizer(trial) as tokenizer:
        for name, item in _golden().items():
            if item["options"] or item["call"].keys() != {"text"} or not isinstance(item["call"]["text"], str):
                continue
            recorded = item["expected"]["jieba"]
            ids = recorded["encoding"]["input_ids"]
            _same(f"decode(input_ids) of {name}", tokenizer.decode(np.array(ids)), recorded["decoded"][0])
            got = tokenizer.decode(ids, skip_special_tokens=True)
            _same(f"decode(input_ids, skip_special_tokens=True) of {name}", got, recorded["decoded_without_special"][0])


@check("TOK-3.5", "recorded-calls", needs=("tokenizer",), effort=ONCE)
def padding_truncation_and_pairs_equal_the_recorded_ones(trial: Trial, case: Case) -> None:
    """Padded, truncated, paired and batched calls give the ids, types and masks that transformers 4.37 gave."""
    names = [name for name in _golden() if name.startswith(("pair", "batch", "padding", "truncation"))]
    _equals_recorded(trial, names, ("input_ids", "token_type_ids", "attention_mask", "special_tokens_mask"))


@check("TOK-3.6", "offsets", needs=("tokenizer",), effort=ONCE)
def offsets_equal_the_recorded_ones(trial: Trial, case: Case) -> None:
    """Each token's span of characters is the recorded one, also behind emoji, accents and rare characters."""
    names = [name for name, item in _golden().items() if item["call"].keys() == {"text"} and not item["options"]]
    _equals_recorded(trial, names, ("offset_mapping",))


@check("TOK-3.6", "windows", needs=("tokenizer",), effort=ONCE)
def windows_equal_the_recorded_ones(trial: Trial, case: Case) -> None:
    """Long texts come back as the recorded overlapping windows, with the text that each belongs to."""
    names = [name for name in _golden() if name.startswith("windows")]
    _equals_recorded(trial, names, ("input_ids", "token_type_ids", "overflow_to_sample_mapping"))


@cache
def _golden() -> dict[str, Any]:
    """The recorded calls by name."""
    file = fixtures_folder() / "tokenization" / "golden.json"
    return {item["name"]: item for item in json.loads(file.read_text(encoding="utf-8"))["cases"]}


@cache
def _vocabulary() -> dict[str, int]:
    """Token to id."""
    lines = _vocabulary_file().read_text(encoding="utf-8").split("\n")
    return {token: number for number, token in enumerate(lines)}


def _vocabulary_file() -> Path:
    return fixtures_folder() / "vocabulary" / "vocab.txt"


@contextmanager
def _tokenizer(trial: Trial, options: Json | None = None) -> Iterator[Any]:
    """The tokenizer of a folder with vocab.txt, and a tokenizer_config.json where there are options."""
    adapter: Any = trial.adapter
    with scratch() as folder:
        shutil.copy(_vocabulary_file(), folder)
        if options:
            config = {"tokenizer_class": "RoFormerTokenizer", **options}
            (Path(folder) / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
        yield adapter.tokenizer(folder)


def _equals_recorded(trial: Trial, names: Iterable[str], features: tuple[str, ...]) -> None:
    """The calls of these names give the recorded features."""
    items = [_golden()[name] for name in names]
    for options in {json.dumps(item["options"]): item["options"] for item in items}.values():
        with _tokenizer(trial, options) as tokenizer:
            for item in items:
                if item["options"] == options:
                    _call_equals_recorded(tokenizer, item, features)


def _call_equals_recorded(tokenizer: Any, item: Json, features: tuple[str, ...]) -> None:
    wanted = {"return_offsets_mapping": True, "return_special_tokens_mask": True}
    got = tokenizer(**item["call"], **wanted)
    for feature in features:
        expected = item["expected"]["jieba"]["encoding"].get(feature)
        if expected is None:
            continue
        expect(feature in got, f"{feature} is missing in the result of {item['name']}")
        what = f"{feature} of {item['name']} (guards against {item['guards_against']})"
        _same(what, json.loads(json.dumps(got[feature])), expected)


def _same(what: str, got: Any, expected: Any) -> None:
    if got == expected:
        return
    both_lists = isinstance(got, list) and isinstance(expected, list)
    places = [i for i, (a, b) in enumerate(zip(got, expected, strict=False)) if a != b] if both_lists else []
    where = f"[{places[0]}]" if places else f" has {len(got)} items, {len(expected)} are" if both_lists else ""
    one, other = (got[places[0]], expected[places[0]]) if places else (got, expected)
    expect(False, f"{what}{where}: got {one!r:.200}, expected {other!r:.200}")
