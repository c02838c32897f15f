"""The tokenizer against recorded results of transformers 4.37, and its own promises (TOK-1, TOK-2, TOK-3)."""

import copy
import hashlib
import json
import multiprocessing
import pickle
import re
import subprocess
import sys
import types
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from roformer_numpy import RoFormerError
from roformer_numpy.tokenization import BatchEncoding, RoFormerTokenizer
from roformer_numpy.tokenization.segmentation import CJK, SPANS_PER_LEAF

FIXTURES = Path(__file__).parents[2] / "fixtures"
VOCABULARY = FIXTURES / "vocabulary" / "vocab.txt"
GOLDEN = json.loads((FIXTURES / "tokenization" / "golden.json").read_text(encoding="utf-8"))
CASES = [pytest.param(case, kind, id=f"{case['name']}-{kind}") for case in GOLDEN["cases"] for kind in case["expected"]]
SENTENCE = "今天天气非常好，我们一起去公园散步。Hello, my dog is cute 😀"

Json = dict[str, Any]


@pytest.fixture(scope="module")
def tokenizer() -> RoFormerTokenizer:
    """The word tokenizer over the test vocabulary; no test may change it."""
    return RoFormerTokenizer(VOCABULARY)


def as_lists(encoding: BatchEncoding) -> Json:
    """What JSON would make of an encoding."""
    return json.loads(json.dumps(dict(encoding)))


def for_this_tokenizer(case: Json, kind: str) -> RoFormerTokenizer:
    """The tokenizer with the options of a recorded case."""
    return RoFormerTokenizer(VOCABULARY, word_segmentation=kind, **case["options"])


# TOK-1: equal to transformers 4.37


@pytest.mark.parametrize(("case", "kind"), CASES)
def test_ids_types_masks_and_offsets_equal_the_recorded_ones(case: Json, kind: str) -> None:
    """TOK-1, TOK-3: every feature of every recorded call, word and character tokenizer."""
    encoding = for_this_tokenizer(case, kind)(
        **case["call"], return_offsets_mapping=True, return_special_tokens_mask=True
    )
    assert as_lists(encoding) == case["expected"][kind]["encoding"], case["guards_against"]


@pytest.mark.parametrize(("case", "kind"), CASES)
def test_tokens_and_decoded_text_equal_the_recorded_ones(case: Json, kind: str) -> None:
    """TOK-3: ids become the tokens and the text that transformers 4.37 makes of them."""
    tokenizer, expected = for_this_tokenizer(case, kind), case["expected"][kind]
    ids = expected["encoding"]["input_ids"]
    rows = ids if isinstance(ids[0], list) else [ids]
    assert [tokenizer.convert_ids_to_tokens(row) for row in rows] == expected["tokens"]
    assert tokenizer.batch_decode(rows) == expected["decoded"]
    assert tokenizer.batch_decode(rows, skip_special_tokens=True) == expected["decoded_without_special"]


def test_the_recorded_cases_are_the_ones_that_were_recorded() -> None:
    """A golden value or a vocabulary edited by hand is found out."""
    cases = json.dumps(GOLDEN["cases"], sort_keys=True).encode()
    assert hashlib.sha256(cases).hexdigest() == GOLDEN["cases_sha256"]
    assert hashlib.sha256(VOCABULARY.read_bytes()).hexdigest() == GOLDEN["vocabulary"]["sha256"]


def test_a_word_of_the_vocabulary_is_one_token_and_another_is_cut_into_characters() -> None:
    """TOK-1: the rule itself, on the documentation's sentence."""
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "今", "天", "气", "非常", "好", "。"]
    tokenizer = RoFormerTokenizer({token: index for index, token in enumerate(vocabulary)})
    assert tokenizer.tokenize("今天天气非常好。") == ["今", "天", "天", "气", "非常", "好", "。"]


def test_cjk_characters_are_those_that_the_library_separates() -> None:
    """TOK-1: the character ranges equal those of BertNormalizer, over all of Unicode."""
    from tokenizers.normalizers import BertNormalizer

    normalizer = BertNormalizer(clean_text=False, handle_chinese_chars=True, strip_accents=False, lowercase=False)
    characters = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    separated = {char for char in characters if len(normalizer.normalize_str(char)) == 3}
    assert separated == set(re.findall(f"[{CJK}]", "".join(characters)))


# TOK-3: offsets, windows, padding


@pytest.mark.parametrize("text", [SENTENCE, "Ｃafé 𠮷野家😀\u200b今天\r\n天气", "İstanbul Zu\u0308rich"])
def test_offsets_slice_the_original_text(tokenizer: RoFormerTokenizer, text: str) -> None:
    """TOK-3: a token that is its own spelling is found at its offsets, emoji and removed characters included."""
    encoding = tokenizer(text, return_offsets_mapping=True)
    tokens = tokenizer.convert_ids_to_tokens(encoding.input_ids)
    for token, (start, end) in zip(tokens[1:-1], encoding.offset_mapping[1:-1], strict=True):
        piece = text[start:end].replace("\u200b", "")
        assert piece
        if token != "[UNK]" and piece.isascii():
            assert piece.lower() == token.removeprefix("##")


def test_offsets_of_a_long_text_continue_those_of_its_parts(tokenizer: RoFormerTokenizer) -> None:
    """TOK-3: cutting a text in halves before it is sliced moves no offset."""
    part = tokenizer(SENTENCE + "\n", add_special_tokens=False, return_offsets_mapping=True)
    repeats = 4 * SPANS_PER_LEAF
    whole = tokenizer((SENTENCE + "\n") * repeats, add_special_tokens=False, return_offsets_mapping=True)
    step = len(SENTENCE) + 1
    moved = [(start + turn * step, end + turn * step) for turn in range(repeats) for start, end in part.offset_mapping]
    assert whole.offset_mapping == moved
    assert whole.input_ids == part.input_ids * repeats


@pytest.mark.parametrize("stride", [0, 1, 5])
def test_windows_together_hold_the_whole_text(tokenizer: RoFormerTokenizer, stride: int) -> None:
    """TOK-3: windows without their overlap, one after the other, are the ids of the text."""
    long = SENTENCE * 5
    windows = tokenizer(long, truncation=True, max_length=14, stride=stride, return_overflowing_tokens=True)
    inner = [row[1:-1] for row in windows.input_ids]
    joined = inner[0] + [index for row in inner[1:] for index in row[stride:]]
    assert joined == tokenizer.encode(long, add_special_tokens=False)
    assert windows.overflow_to_sample_mapping == [0] * len(inner)


def test_a_batch_gives_the_rows_of_its_texts(tokenizer: RoFormerTokenizer) -> None:
    """TOK-3: no row depends on the others."""
    texts = [SENTENCE, "好", ""]
    assert tokenizer(texts).input_ids == [tokenizer(text).input_ids for text in texts]


def test_pad_equals_padding_in_the_call(tokenizer: RoFormerTokenizer) -> None:
    """TOK-3: padding later, from single encodings, from a batch or from arrays, gives the same."""
    texts = [SENTENCE, "好"]
    expected = as_lists(tokenizer(texts, padding=True))
    singles = [tokenizer(text) for text in texts]
    arrays = [{name: np.array(value) for name, value in single.items()} for single in singles]
    for encodings in (singles, tokenizer(texts), arrays):
        assert as_lists(tokenizer.pad(encodings)) == expected


def test_pad_reaches_a_length_on_the_chosen_side_and_leaves_its_argument_alone(tokenizer: RoFormerTokenizer) -> None:
    """TOK-3: one encoding, to the left, rounded up."""
    single = {"input_ids": [2, 7, 3], "labels": 1}
    padded = tokenizer.pad(
        single, padding="max_length", max_length=5, pad_to_multiple_of=4, padding_side="left", return_tensors="np"
    )
    assert padded.input_ids.tolist() == [[0, 0, 0, 0, 0, 2, 7, 3]]
    assert padded.attention_mask.tolist() == [[0, 0, 0, 0, 0, 1, 1, 1]]
    assert padded.labels.tolist() == [1]
    assert single == {"input_ids": [2, 7, 3], "labels": 1}


# TOK-3: the result


def test_arrays_are_int64_of_rank_2_also_for_one_text(tokenizer: RoFormerTokenizer) -> None:
    """TOK-3: return_tensors="np" gives what a model takes, an empty text without special tokens included."""
    for text, options in ((SENTENCE, {}), ("", {"add_special_tokens": False}), ([SENTENCE, "好"], {"padding": True})):
        encoding = tokenizer(text, return_tensors="np", **options)
        assert {(array.dtype, array.ndim) for array in encoding.values()} == {(np.dtype("int64"), 2)}


def test_an_encoding_is_a_mapping_with_attributes(tokenizer: RoFormerTokenizer) -> None:
    """TOK-3: keys, attributes, ** and assignment; a wrong name says which there are."""
    encoding = tokenizer(SENTENCE, return_tensors="np")
    assert dict(**encoding).keys() == {"input_ids", "token_type_ids", "attention_mask"}
    assert encoding.input_ids is encoding["input_ids"]
    encoding["labels"] = encoding.pop("token_type_ids")
    assert list(encoding) == ["input_ids", "attention_mask", "labels"]
    with pytest.raises(KeyError, match="has input_ids, attention_mask, labels"):
        encoding["input_id"]
    with pytest.raises(AttributeError, match="input_ids"):
        _ = encoding.input_id


def test_an_encoding_survives_pickle_and_copy(tokenizer: RoFormerTokenizer) -> None:
    """TOK-3: attribute access does not get in the way of copying."""
    encoding = tokenizer(SENTENCE)
    assert pickle.loads(pickle.dumps(encoding)) == encoding == copy.deepcopy(encoding)


def test_features_are_returned_as_asked(tokenizer: RoFormerTokenizer) -> None:
    """TOK-3: masks and types can be left out."""
    assert list(tokenizer(SENTENCE, return_attention_mask=False, return_token_type_ids=False)) == ["input_ids"]


def test_special_tokens_and_their_ids(tokenizer: RoFormerTokenizer) -> None:
    """TOK-3: mask_token_id and its siblings."""
    names = ("unk", "sep", "pad", "cls", "mask")
    tokens = [getattr(tokenizer, f"{name}_token") for name in names]
    ids = [getattr(tokenizer, f"{name}_token_id") for name in names]
    assert tokens == ["[UNK]", "[SEP]", "[PAD]", "[CLS]", "[MASK]"] == tokenizer.all_special_tokens
    assert ids == [1, 3, 0, 2, 4] == tokenizer.all_special_ids == tokenizer.convert_tokens_to_ids(tokens)


def test_conversion_and_decoding_take_one_id_lists_and_arrays(tokenizer: RoFormerTokenizer) -> None:
    """TOK-3: whatever a model's argmax returns."""
    index = tokenizer.convert_tokens_to_ids("paris")
    assert tokenizer.convert_ids_to_tokens(index) == "paris" == tokenizer.decode(index) == tokenizer.decode([index])
    assert tokenizer.decode(np.array([index, 4]), skip_special_tokens=True) == "paris"
    assert tokenizer.convert_ids_to_tokens([index, 4], skip_special_tokens=True) == ["paris"]
    assert tokenizer.convert_tokens_to_ids(["paris", "no such token"]) == [index, tokenizer.unk_token_id]
    assert tokenizer.decode([]) == ""


def test_the_vocabulary_can_be_read_back(tokenizer: RoFormerTokenizer) -> None:
    """TOK-3: get_vocab, vocab_size and len agree with vocab.txt."""
    lines = VOCABULARY.read_text(encoding="utf-8").split("\n")[:-1]
    assert list(tokenizer.get_vocab().items()) == [(token, index) for index, token in enumerate(lines)]
    assert len(tokenizer) == tokenizer.vocab_size == len(lines)


# TOK-2: save and load


@pytest.mark.parametrize("kind", ["jieba", "none"])
def test_a_saved_tokenizer_loads_with_the_same_ids_and_settings(kind: str, tmp_path: Path) -> None:
    """TOK-2: the round trip, and saving leaves the live tokenizer as it is."""
    tokenizer = RoFormerTokenizer(VOCABULARY, do_lower_case=False, model_max_length=64, word_segmentation=kind)
    before = tokenizer(SENTENCE)
    files = tokenizer.save_pretrained(tmp_path / "new" / "folder")
    assert {file.name for file in files} == {
        "vocab.txt",
        "tokenizer.json",
        "tokenizer_config.json",
        "special_tokens_map.json",
    }
    loaded = RoFormerTokenizer.from_pretrained(tmp_path / "new" / "folder")
    assert tokenizer(SENTENCE) == before == loaded(SENTENCE)
    assert loaded.settings == tokenizer.settings
    assert (tmp_path / "new" / "folder" / "vocab.txt").read_bytes() == VOCABULARY.read_bytes()


@pytest.mark.parametrize("left_out", ["tokenizer.json", "vocab.txt"])
def test_either_file_alone_is_enough(tokenizer: RoFormerTokenizer, left_out: str, tmp_path: Path) -> None:
    """TOK-2: transformers 5 saves no vocab.txt, and reads a folder with only vocab.txt wrongly."""
    tokenizer.save_pretrained(tmp_path)
    for name in (left_out, "tokenizer_config.json", "special_tokens_map.json"):
        (tmp_path / name).unlink()
    assert RoFormerTokenizer.from_pretrained(tmp_path)(SENTENCE) == tokenizer(SENTENCE)


@pytest.mark.parametrize("name", ["4.37", "4.37_bert", "5"])
def test_folders_of_transformers_load_with_their_words_and_added_tokens(name: str) -> None:
    """TOK-2: jieba is put back; the ids are those of 4.37 before it saved, also for the folder of transformers 5."""
    folders = FIXTURES / "tokenization"
    witness = "4.37" if name == "5" else name
    before = json.loads((folders / f"saved_by_transformers_{witness}" / "before_saving.json").read_text("utf-8"))
    tokenizer = RoFormerTokenizer.from_pretrained(folders / f"saved_by_transformers_{name}")
    assert tokenizer(before["text"]).input_ids == before["input_ids"]
    assert len(tokenizer) == tokenizer.vocab_size + 2
    assert tokenizer.all_special_tokens[-1] == "<eot>"
    assert tokenizer.decode(tokenizer.encode("<人名><eot>"), skip_special_tokens=True) == "<人名>"


@pytest.mark.parametrize("left_out", ["tokenizer.json", "added_tokens.json", None])
def test_added_tokens_survive_saving(left_out: str | None, tmp_path: Path) -> None:
    """TOK-2: from any of the files that hold them."""
    tokenizer = RoFormerTokenizer.from_pretrained(FIXTURES / "tokenization" / "saved_by_transformers_4.37")
    tokenizer.save_pretrained(tmp_path)
    if left_out:
        (tmp_path / left_out).unlink()
    loaded = RoFormerTokenizer.from_pretrained(tmp_path)
    assert loaded.get_vocab() == tokenizer.get_vocab()
    assert loaded.all_special_ids == tokenizer.all_special_ids


def test_the_model_config_speaks_where_the_tokenizer_config_is_silent(tmp_path: Path) -> None:
    """TOK-2: published character models name their tokenizer class only in config.json; it also knows the length."""
    (tmp_path / "vocab.txt").write_bytes(VOCABULARY.read_bytes())
    config = {"tokenizer_class": "BertTokenizer", "max_position_embeddings": 512}
    (tmp_path / "config.json").write_text(json.dumps(config))
    loaded = RoFormerTokenizer.from_pretrained(tmp_path)
    assert (loaded.settings.word_segmentation, loaded.model_max_length) == ("none", 512)
    words = RoFormerTokenizer.from_pretrained(tmp_path, word_segmentation="jieba", model_max_length=8)
    assert (words.settings.word_segmentation, words.model_max_length) == ("jieba", 8)


def test_truncation_and_padding_go_to_the_model_length_when_no_other_is_given() -> None:
    """TOK-3: model_max_length is the default of max_length."""
    tokenizer = RoFormerTokenizer(VOCABULARY, model_max_length=8)
    assert len(tokenizer.encode(SENTENCE, truncation=True)) == 8
    assert len(tokenizer.encode("好", padding="max_length")) == 8


# Life of the object


@pytest.mark.parametrize("kind", ["jieba", "none"])
def test_a_pickled_tokenizer_works_and_the_original_too(kind: str) -> None:
    """TOK-2: pickle and copy put jieba back and do not touch the live object."""
    tokenizer = RoFormerTokenizer(VOCABULARY, word_segmentation=kind)
    before = tokenizer(SENTENCE)
    for other in (pickle.loads(pickle.dumps(tokenizer)), copy.deepcopy(tokenizer), tokenizer):
        assert other(SENTENCE) == before


def test_threads_with_different_lengths_do_not_disturb_each_other(tokenizer: RoFormerTokenizer) -> None:
    """TOK-2: truncation is a value of the call, not a state of the tokenizer."""
    lengths = [3 + number % 9 for number in range(200)]
    with ThreadPoolExecutor(8) as pool:
        encoded = pool.map(lambda length: tokenizer.encode(SENTENCE, truncation=True, max_length=length), lengths)
        assert [len(ids) for ids in encoded] == lengths


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_process_gets_the_same_ids(tokenizer: RoFormerTokenizer) -> None:
    """TOK-2: a tokenizer that was used before the fork works after it, without a word on stderr."""
    expected = tokenizer.encode(SENTENCE)
    with multiprocessing.get_context("fork").Pool(1) as pool:
        assert pool.apply_async(tokenizer.encode, (SENTENCE,)).get(timeout=60) == expected


def in_a_fresh_interpreter(code: str) -> str:
    """What a snippet prints."""
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip()


def test_importing_loads_no_optional_package_and_tokenizing_no_tensorflow() -> None:
    """TOK-3: tokenizers and rjieba come with the first tokenizer, TensorFlow only with return_tensors="tf"."""
    code = f"""
import sys
from roformer_numpy.tokenization import RoFormerTokenizer
print([name for name in ("tokenizers", "rjieba", "tensorflow") if name in sys.modules])
RoFormerTokenizer({str(VOCABULARY)!r})("今天", return_tensors="np")
print("tensorflow" in sys.modules)
"""
    assert in_a_fresh_interpreter(code) == "[]\nFalse"


@pytest.mark.parametrize("package", ["tokenizers", "rjieba"])
def test_a_missing_package_says_how_to_install_it(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bare install gets a command to paste."""
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=rf'{package} is needed.*pip install "roformer-reference\[text\]"'):
        RoFormerTokenizer(VOCABULARY)


def test_tensors_without_tensorflow_say_how_to_install_it(
    tokenizer: RoFormerTokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TOK-3: "tf" is the only thing that asks for TensorFlow."""
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(ImportError, match=r"roformer-reference\[tensorflow\]"):
        tokenizer("好", return_tensors="tf")


def test_tensors_are_int32_tensors_of_tensorflow(tokenizer: RoFormerTokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
    """TOK-3: "tf" hands every feature to tensorflow.constant, as int32 like transformers."""
    monkeypatch.setitem(sys.modules, "tensorflow", types.SimpleNamespace(constant=lambda *given: given))
    encoding = tokenizer("好", return_tensors="tf")
    assert {(array.shape, dtype) for array, dtype in encoding.values()} == {((1, 3), "int32")}


# Bad input


CALL_ERRORS = [
    ({"text": None}, TypeError, "text must be a string or a list of strings, got NoneType"),
    ({"text": b"abc"}, TypeError, "got bytes"),
    ({"text": []}, ValueError, "text is an empty list"),
    ({"text": ["a", None]}, TypeError, r"text\[1\] must be a string, got NoneType"),
    ({"text": [["a", "b"]]}, TypeError, "pass the second texts as text_pair"),
    ({"text": "a", "text_pair": ["b"]}, TypeError, "both"),
    ({"text": ["a"], "text_pair": ["b", "c"]}, ValueError, "equally many, got 1 and 2"),
    ({"text": "a\ud800b"}, ValueError, "lone surrogate .* at position 1"),
    ({"text": "a", "padding": "longer"}, ValueError, "padding must be one of False, True, 'longest', 'max_length'"),
    ({"text": "a", "padding": "max_length"}, ValueError, r"needs a length: pass max_length=…"),
    ({"text": "a", "padding": 1}, ValueError, "padding must be one of"),
    ({"text": "a", "truncation": "first"}, ValueError, "truncation must be one of False, True, 'longest_first'"),
    ({"text": "a", "truncation": True}, ValueError, "truncation=True needs a length"),
    ({"text": "a", "max_length": 4}, ValueError, "max_length=4 has no effect.*add truncation=True"),
    ({"text": "a", "max_length": 4, "padding": True}, ValueError, "has no effect"),
    ({"text": "a", "truncation": True, "max_length": 1}, ValueError, "2 special tokens are added: expected at least 2"),
    ({"text": "a", "truncation": True, "max_length": 0}, ValueError, "max_length must be at least 1, got 0"),
    ({"text": "a", "truncation": True, "max_length": 4.0}, TypeError, "max_length must be int or None, got float"),
    ({"text": "a", "truncation": True, "max_length": True}, TypeError, "max_length must be int or None, got bool"),
    ({"text": "a", "truncation": "only_second", "max_length": 9}, ValueError, "needs a text_pair, got None"),
    (
        {"text": "a", "text_pair": SENTENCE, "truncation": "only_first", "max_length": 9},
        ValueError,
        "use truncation='longest_first'",
    ),
    (
        {"text": SENTENCE, "truncation": True, "max_length": 6, "stride": 4, "return_overflowing_tokens": True},
        ValueError,
        "stride=4 must be smaller than the 4 tokens",
    ),
    ({"text": "a", "stride": -1}, ValueError, "stride must be at least 0, got -1"),
    ({"text": "a", "pad_to_multiple_of": 0, "padding": True}, ValueError, "pad_to_multiple_of must be at least 1"),
    ({"text": "a", "padding_side": "top"}, ValueError, "padding_side must be one of 'left', 'right', got 'top'"),
    ({"text": "a", "return_tensors": "pt"}, ValueError, "return_tensors must be one of None, 'np', 'tf', got 'pt'"),
    ({"text": ["a", SENTENCE], "return_tensors": "np"}, ValueError, "input_ids have different lengths.*padding=True"),
]


@pytest.mark.parametrize(("call", "error", "message"), CALL_ERRORS)
def test_a_wrong_call_says_what_is_expected(
    tokenizer: RoFormerTokenizer, call: Json, error: type[Exception], message: str
) -> None:
    """TOK-3: argument, expected, got, what to do; `except RoFormerError` catches it too."""
    with pytest.raises(error, match=message) as caught:
        tokenizer(**call)
    assert isinstance(caught.value, RoFormerError)


@pytest.mark.parametrize(
    ("ids", "error", "message"),
    [
        ([1, -100], ValueError, r"ids\[1\] is -100, outside the vocabulary: expected 0 to 4753"),
        (4754, ValueError, "is 4754, outside the vocabulary"),
        ([[1, 2]], ValueError, r"got shape \(1, 2\): use batch_decode"),
        ([1.5], TypeError, "ids must be integers, got float64"),
        ("好", TypeError, "ids must be integers"),
    ],
)
def test_wrong_ids_are_not_decoded(
    tokenizer: RoFormerTokenizer, ids: Any, error: type[Exception], message: str
) -> None:
    """TOK-3: transformers drops such ids without a word."""
    for read in (tokenizer.decode, tokenizer.convert_ids_to_tokens):
        with pytest.raises(error, match=message):
            read(ids)


@pytest.mark.parametrize(
    ("encodings", "error", "message"),
    [
        ([], ValueError, "an empty list"),
        ({"ids": [1]}, ValueError, "expected input_ids among the features, got ids"),
        ([{"input_ids": [1]}, {"input_ids": [1], "labels": 0}], ValueError, "same features"),
        (SENTENCE, TypeError, "expected an encoding or a list of them, got str"),
    ],
)
def test_what_cannot_be_padded_is_refused(
    tokenizer: RoFormerTokenizer, encodings: Any, error: type[Exception], message: str
) -> None:
    """TOK-3: pad takes encodings only."""
    with pytest.raises(error, match=message):
        tokenizer.pad(encodings)


SPECIAL = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (SPECIAL + "a\n\nb\na\n", r"1 empty \(line 7\); 1 more than once \('a' on lines 6 and 9\)"),
        ("[PAD]\n[UNK]\nabc\n", r"sep_token='\[SEP\]', cls_token='\[CLS\]', mask_token='\[MASK\]' not in the voc"),
        ("", "1 empty"),
    ],
)
def test_a_damaged_vocabulary_is_refused(content: str, message: str, tmp_path: Path) -> None:
    """TOK-1: the line number is the id, so every line counts."""
    (tmp_path / "vocab.txt").write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        RoFormerTokenizer(tmp_path / "vocab.txt")


def test_windows_line_ends_and_a_byte_order_mark_are_not_part_of_the_tokens(tmp_path: Path) -> None:
    """TOK-1: a vocabulary that an editor has saved keeps its ids; unusual white space is a token."""
    (tmp_path / "vocab.txt").write_bytes(b"\xef\xbb\xbf" + (SPECIAL + "a\n\u2028\n\x85").replace("\n", "\r\n").encode())
    vocabulary = RoFormerTokenizer(tmp_path / "vocab.txt").get_vocab()
    assert list(vocabulary) == [*SPECIAL.split(), "a", "\u2028", "\x85"]


def test_a_vocabulary_in_another_encoding_is_refused(tmp_path: Path) -> None:
    """TOK-1: what to do is said."""
    (tmp_path / "vocab.txt").write_bytes(SPECIAL.encode() + "今天\n".encode("gb18030"))
    with pytest.raises(ValueError, match=r"expected UTF-8.*iconv"):
        RoFormerTokenizer(tmp_path / "vocab.txt")


@pytest.mark.parametrize(
    ("vocabulary", "error", "message"),
    [
        ({"[PAD]": 0, "a": 2}, ValueError, "from 0 to n − 1 .*'a' has 2"),
        ({}, ValueError, "the vocabulary is empty"),
        ({"a": "0"}, TypeError, "expected str → int, got 'a' → '0'"),
        (["a"], TypeError, "path of a vocab.txt or a mapping of token to id, got list"),
        ("no/such/vocab.txt", ValueError, "'no/such/vocab.txt' is not a file"),
        (FIXTURES, ValueError, "to load a folder use RoFormerTokenizer.from_pretrained"),
    ],
)
def test_what_is_no_vocabulary_is_refused(vocabulary: Any, error: type[Exception], message: str) -> None:
    """TOK-1: neither a file nor a usable mapping."""
    with pytest.raises(error, match=message):
        RoFormerTokenizer(vocabulary)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"do_lower_case": "no"}, TypeError, "do_lower_case must be bool, got str: 'no'"),
        ({"strip_accents": 1}, TypeError, "strip_accents must be bool or None"),
        ({"mask_token": None}, TypeError, "mask_token must be str, got NoneType"),
        ({"mask_token": "<mask>"}, ValueError, "mask_token='<mask>' not in the vocabulary of 4754 tokens"),
        ({"model_max_length": 0}, ValueError, "model_max_length must be at least 1, got 0"),
        ({"word_segmentation": "words"}, ValueError, "must be one of 'jieba', 'none', got 'words'"),
        ({"added_tokens": [{"content": "<a>", "id": 9999}]}, ValueError, "the id 9999, the vocabulary leads to 4754"),
    ],
)
def test_wrong_options_are_refused(options: Json, error: type[Exception], message: str) -> None:
    """TOK-1: checked once, at construction."""
    with pytest.raises(error, match=message):
        RoFormerTokenizer(VOCABULARY, **options)


def test_a_hub_name_is_answered_with_how_to_download_it() -> None:
    """TOK-2: nothing touches the network."""
    with pytest.raises(
        ValueError, match=r"Nothing is downloaded here.*hf download someone/roformer --local-dir roformer"
    ):
        RoFormerTokenizer.from_pretrained("someone/roformer")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"model.bin": ""}, "has neither vocab.txt nor tokenizer.json, it holds model.bin"),
        ({"tokenizer.json": "{"}, "expected JSON"),
        ({"tokenizer.json": "[1]"}, "holds a JSON list, expected an object"),
        ({"tokenizer.json": '{"model": {"type": "BPE"}}'}, "expected a WordPiece model .* got BPE"),
        ({"vocab.txt": SPECIAL, "tokenizer_config.json": '{"tokenizer_class": "T5Tokenizer"}'}, "got 'T5Tokenizer'"),
        ({"vocab.txt": SPECIAL, "added_tokens.json": '{"<a>": "five"}'}, "an added token lacks its content or its id"),
        (
            {"vocab.txt": SPECIAL, "tokenizer_config.json": '{"added_tokens_decoder": {"5": {}}}'},
            "an added token lacks its content or its id",
        ),
    ],
)
def test_a_folder_of_something_else_is_refused(files: dict[str, str], message: str, tmp_path: Path) -> None:
    """TOK-2: the file and what is wrong with it are named."""
    for name, content in files.items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        RoFormerTokenizer.from_pretrained(tmp_path)


def test_saving_over_a_file_and_loading_a_file_are_refused(tokenizer: RoFormerTokenizer, tmp_path: Path) -> None:
    """TOK-2: both want a folder."""
    (tmp_path / "name").write_text("")
    for act in (tokenizer.save_pretrained, RoFormerTokenizer.from_pretrained):
        with pytest.raises(ValueError, match=r"expected a folder, .* is a file"):
            act(tmp_path / "name")
