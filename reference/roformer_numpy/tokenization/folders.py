"""Checkpoint folders: what transformers 4.37 and 5 and this project write and read (TOK-2)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from os import PathLike
from pathlib import Path
from typing import Any

from ..errors import CheckpointError, InputTypeError
from ..json_files import read_json_object
from ..models_in_the_box import resolve
from .backend import ADDED_TOKEN_FLAGS, AddedToken
from .settings import (
    SPECIAL_TOKEN_NAMES,
    WORD_SEGMENTATION_OF_CLASS,
    TokenizerSettings,
    check_choice,
)
from .vocabulary import check_ids, load_vocabulary

# transformers writes int(1e30) for "unknown".
UNKNOWN_LENGTH = int(1e30)
SAVED_CLASS = {"jieba": "RoFormerTokenizer", "none": "BertTokenizer"}


@dataclass(frozen=True)
class TokenizerFiles:
    """What a folder says: vocabulary, options as keyword arguments of `TokenizerSettings`, added tokens."""

    vocabulary: dict[str, int]
    options: dict[str, Any]
    added_tokens: tuple[AddedToken, ...]


def read_folder(folder: str | PathLike[str]) -> TokenizerFiles:
    """Read a checkpoint folder; tokenizer.json goes before vocab.txt, as in transformers.

    Args:
        folder: the folder. A hub name is refused: nothing here touches the network.

    Raises:
        CheckpointError: not a folder, no vocabulary in it, or a file that is damaged or belongs to another tokenizer.
    """
    path = _checked_folder(folder)
    config = _read_json(path / "tokenizer_config.json")
    special = _read_json(path / "special_tokens_map.json")
    options = _options(special | config, _read_json(path / "config.json"))
    pipeline = _read_json(path / "tokenizer.json")
    if pipeline:
        vocabulary, found, added = _read_pipeline(path / "tokenizer.json", pipeline)
        return TokenizerFiles(vocabulary, found | options, _merged(path, added, special | config))
    vocabulary = load_vocabulary(path / "vocab.txt")
    added = [{"content": content, "id": index} for content, index in _read_json(path / "added_tokens.json").items()]
    return TokenizerFiles(vocabulary, options, _merged(path, added, special | config))


def write_folder(
    folder: str | PathLike[str], serialized: str, settings: TokenizerSettings, added_tokens: Mapping[int, Any]
) -> tuple[Path, ...]:
    """Write the files that transformers 4.37 writes, so that it, transformers 5 and `read_folder` read them.

    Args:
        folder: made when it is not there.
        serialized: the pipeline's JSON, with BERT's word split: jieba cannot be serialised.
        settings: the options.
        added_tokens: id → token, special tokens included.

    Returns:
        the files.

    Raises:
        CheckpointError: the folder's name is taken by a file.
    """
    path = Path(folder)
    if path.exists() and not path.is_dir():
        raise CheckpointError(f"save_pretrained: expected a folder, {str(path)!r} is a file")
    path.mkdir(parents=True, exist_ok=True)
    vocabulary: dict[str, int] = json.loads(serialized)["model"]["vocab"]
    contents = {
        "vocab.txt": "".join(f"{token}\n" for token in check_ids(vocabulary)),
        "tokenizer.json": serialized,
        "tokenizer_config.json": _json(_written_config(settings, added_tokens)),
        "special_tokens_map.json": _json({name: getattr(settings, name) for name in SPECIAL_TOKEN_NAMES}),
    }
    beyond = {token.content: index for index, token in added_tokens.items() if index >= len(vocabulary)}
    if beyond:
        contents["added_tokens.json"] = _json(beyond)
    for name, content in contents.items():
        # newline: a vocabulary must not get Windows line ends.
        (path / name).write_text(content, encoding="utf-8", newline="\n")
    return tuple(path / name for name in contents)


def _checked_folder(folder: str | PathLike[str]) -> Path:
    if not isinstance(folder, (str, PathLike)):
        raise InputTypeError(f"from_pretrained: expected the path of a folder, got {type(folder).__name__}: {folder!r}")
    path = resolve(folder)
    if path.is_file():
        raise CheckpointError(f"from_pretrained: expected a folder, {str(path)!r} is a file; pass {str(path.parent)!r}")
    if not path.is_dir():
        raise CheckpointError(
            f"from_pretrained: {str(path)!r} is not a folder. Nothing is downloaded here: if it is a name on a model"
            f" hub, fetch it first, for example: hf download {path} --local-dir {path.name}, and pass {path.name!r}"
        )
    if not any((path / name).is_file() for name in ("tokenizer.json", "vocab.txt")):
        names = ", ".join(sorted(file.name for file in path.iterdir())[:10]) or "nothing"
        raise CheckpointError(
            f"from_pretrained: {str(path)!r} has neither vocab.txt nor tokenizer.json, it holds {names}"
        )
    return path


def _read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file, empty when there is no such file."""
    if not path.is_file():
        return {}
    try:
        return read_json_object(path)
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: expected JSON, {error}") from error


def _options(config: dict[str, Any], model_config: dict[str, Any]) -> dict[str, Any]:
    """The keyword arguments that tokenizer_config.json, special_tokens_map.json and config.json stand for."""
    names = {field.name for field in fields(TokenizerSettings)} - {"max_input_chars_per_word"}
    options = {name: value for name, value in config.items() if name in names}
    for name in SPECIAL_TOKEN_NAMES & options.keys():
        options[name] = _content(options[name])
    declared = config.get("tokenizer_class") or model_config.get("tokenizer_class") or "RoFormerTokenizer"
    check_choice("tokenizer_class", declared, tuple(WORD_SEGMENTATION_OF_CLASS))
    length = options.get("model_max_length") or UNKNOWN_LENGTH
    known = length if length < UNKNOWN_LENGTH else model_config.get("max_position_embeddings")
    return {"word_segmentation": WORD_SEGMENTATION_OF_CLASS[declared]} | options | {"model_max_length": known}


def _content(token: Any) -> Any:
    """The text of a special token, which files give as a string or as an object."""
    return token.get("content") if isinstance(token, dict) else token


def _read_pipeline(path: Path, pipeline: dict[str, Any]) -> tuple[dict[str, int], dict[str, Any], list[AddedToken]]:
    """Vocabulary, options and added tokens of a tokenizer.json; its word split is never read."""
    model, normalizer = pipeline.get("model") or {}, pipeline.get("normalizer") or {}
    # Old files leave the model's type out.
    found = (model.get("type", "WordPiece"), model.get("continuing_subword_prefix", "##"), normalizer.get("type"))
    if found != ("WordPiece", "##", "BertNormalizer") or not normalizer.get("clean_text", True):
        raise CheckpointError(
            f"{path}: expected a WordPiece model with the prefix '##' behind a BertNormalizer with clean_text, got"
            f" {found[0]} with {found[1]!r} behind {found[2]}: the file of another kind of tokenizer"
        )
    options = {
        "do_lower_case": normalizer.get("lowercase", True),
        "strip_accents": normalizer.get("strip_accents"),
        "unk_token": model.get("unk_token", "[UNK]"),
        "max_input_chars_per_word": model.get("max_input_chars_per_word", 100),
    }
    return check_ids(model.get("vocab") or {}), options, list(pipeline.get("added_tokens") or [])


def _merged(path: Path, added: list[Any], config: dict[str, Any]) -> tuple[AddedToken, ...]:
    """Added tokens of a file with their flags from tokenizer_config.json, which also may have more of them."""
    try:
        decoder = config.get("added_tokens_decoder") or {}
        declared = {token["content"]: {**token, "id": int(index)} for index, token in decoder.items()}
        listed = {token["content"]: {**token, "id": int(token["id"])} for token in added}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: an added token lacks its content or its id ({error!r})") from error
    special = {_content(token) for token in config.get("additional_special_tokens") or []}
    tokens = {content: declared.get(content, {}) | listed.get(content, {}) for content in declared | listed}
    return tuple(token | ({"special": True} if content in special else {}) for content, token in tokens.items())


def _written_config(settings: TokenizerSettings, added_tokens: Mapping[int, Any]) -> dict[str, Any]:
    """tokenizer_config.json."""
    config = {field.name: getattr(settings, field.name) for field in fields(settings)}
    del config["max_input_chars_per_word"], config["word_segmentation"]
    extra = [token.content for token in added_tokens.values() if token.special]
    return config | {
        "model_max_length": settings.model_max_length or UNKNOWN_LENGTH,
        "tokenizer_class": SAVED_CLASS[settings.word_segmentation],
        "additional_special_tokens": [token for token in extra if token not in settings.special_tokens],
        "added_tokens_decoder": {
            str(index): {"content": token.content} | {name: getattr(token, name) for name in ADDED_TOKEN_FLAGS}
            for index, token in added_tokens.items()
        },
    }


def _json(content: Mapping[str, Any]) -> str:
    return json.dumps(content, ensure_ascii=False, indent=2, sort_keys=True) + "\n"
