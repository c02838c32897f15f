"""SPEC.md and its reader: every claim complete, every citation of a clause in this repository true."""

import pickle
import re
from pathlib import Path

import pytest

from roformer_conformance import clauses, protocol, resources
from roformer_conformance.clauses import (
    FAMILIES,
    HEADS,
    KINDS,
    PROFILES,
    Clause,
    SpecificationError,
    load_clauses,
    load_specification,
    parse,
    select,
)
from roformer_conformance.registry import all_checks

ROOT = Path(__file__).parents[2]
ID = re.compile(rf"\b(?:{'|'.join(FAMILIES)})-\d+(?:\.\d+)?\b")
SPECIFICATION = load_specification()
CLAUSES = [pytest.param(clause, id=clause.id) for clause in load_clauses().values()]

CONTESTED = "- P:\n" + "".join(f"  - {profile}: as {profile}\n" for profile in PROFILES)


def claim(identifier: str, **changes: str) -> str:
    """A claim in the form of SPEC.md; `changes` replace or add fields, "" leaves one out."""
    fields = {"Source": "practice", "Kind": "practice", "Heads": "all", "Catches": "a mistake"} | changes
    lines = [
        f"- {name}: {fields[name]}\n" for name in ("Source", "Kind", "D", "B", "Heads", "Catches") if fields.get(name)
    ]
    return f"### {identifier} A title\nSomething is true.\n{''.join(lines)}\n"


def family(*blocks: str) -> str:
    """A specification of the one family MASK, its first block on line 5."""
    return "\n".join(["# Title", "", "## MASK: Masks", "", "".join(blocks)])


# The file


def test_every_family_is_there_in_order() -> None:
    """All sixteen, in the order of one forward pass and what surrounds it."""
    assert tuple(SPECIFICATION.families) == FAMILIES


def test_ids_ascend_within_their_family_and_families_do_not_mix() -> None:
    """A reader finds an id by counting; an id that was given up may leave a gap."""
    ids = [*SPECIFICATION.clauses]
    assert ids == sorted(ids, key=place)
    groups = [*SPECIFICATION.groups]
    assert groups == sorted(groups, key=place)


def place(identifier: str) -> tuple[int, list[int]]:
    """Where an id belongs."""
    name, _, number = identifier.partition("-")
    return FAMILIES.index(name), [int(part) for part in number.split(".")]


def test_numbers_run_through_each_family() -> None:
    """Main numbers start at the first of their family and leave none out: nothing was lost on the way."""
    first = {"ROT": 2, "ATT": 3, "FFN": 4, "LIFE": 4}
    for name in FAMILIES:
        known = {place(i)[1][0] for i in (*SPECIFICATION.groups, *SPECIFICATION.clauses) if i.startswith(f"{name}-")}
        start = first.get(name, 1)
        assert known == set(range(start, start + len(known))), name


def test_a_group_claims_nothing_and_a_claim_is_no_group() -> None:
    """A plain id is one or the other."""
    assert not SPECIFICATION.groups.keys() & SPECIFICATION.clauses.keys()
    for group in SPECIFICATION.groups:
        assert len(select(SPECIFICATION.clauses, group)) > 1, f"{group} has one claim: the plain id is enough"


@pytest.mark.parametrize("clause", CLAUSES)
def test_every_claim_is_complete(clause: Clause) -> None:
    """Title, text, source, kind, heads and what it catches."""
    assert clause.title
    assert clause.text
    assert clause.source
    assert clause.kind in KINDS
    assert clause.catches
    assert clause.heads
    assert set(clause.heads) <= set(HEADS)


@pytest.mark.parametrize("clause", CLAUSES)
def test_what_the_documentation_has_to_do_with_it_is_said(clause: Clause) -> None:
    """A promise of the documentation, or a departure from it, names the passage."""
    if clause.kind == "documentation" or clause.differs or clause.broken:
        assert "documentation" in clause.source


@pytest.mark.parametrize("clause", CLAUSES)
def test_cited_clauses_exist(clause: Clause) -> None:
    """A clause refers to clauses that there are."""
    prose = " ".join((clause.title, clause.text, clause.source, clause.reason, clause.differs, clause.broken))
    assert set(ID.findall(prose)) <= known_ids()


def test_every_claim_has_a_check_or_says_why_none_can_ask() -> None:
    """No claim is left to good will."""
    tried = {clause for check in all_checks().values() for clause in check.clauses}
    assert [name for name, clause in load_clauses().items() if name not in tried and not clause.not_asked] == []
    assert [name for name, clause in load_clauses().items() if clause.not_asked] == ["CFG-3.3"]


def test_heads_are_those_of_the_protocol() -> None:
    """Two modules spell them out; they agree."""
    assert HEADS == protocol.HEADS


def test_clauses_travel_between_processes() -> None:
    """The runner's workers receive them."""
    assert pickle.loads(pickle.dumps(load_clauses())) == load_clauses()


def known_ids() -> set[str]:
    """Claims and groups."""
    return {*SPECIFICATION.clauses, *SPECIFICATION.groups}


# Citations


def cited_files() -> list[Path]:
    """Every file that may cite a clause; this one invents ids."""
    places = [path for top in ("reference", "conformance", "tests") for path in (ROOT / top).rglob("*")]
    files = [path for path in places if path.suffix in (".py", ".md", ".toml", ".json") and path.is_file()]
    return [path for path in (*files, *(ROOT / "fixtures" / "vectors").glob("*.json")) if path != Path(__file__)]


def test_every_citation_in_the_repository_exists() -> None:
    """Code, tests and golden vectors cite clauses that there are."""
    wrong = []
    for path in cited_files():
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            unknown = set(ID.findall(line)) - known_ids()
            wrong += [f"{path.relative_to(ROOT)}:{number}: {name}" for name in sorted(unknown)]
    assert not wrong, "cited, but not in SPEC.md:\n" + "\n".join(wrong)


# select


@pytest.fixture(name="known")
def _known() -> dict[str, Clause]:
    text = family(claim("MASK-1"), "### MASK-6 A group\n", claim("MASK-6.1"), claim("MASK-6.10"), claim("MASK-61"))
    return dict(parse(text).clauses)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("MASK-1", ["MASK-1"]),
        ("MASK-6", ["MASK-6.1", "MASK-6.10"]),
        ("MASK-6.1", ["MASK-6.1"]),
        ("MASK-61", ["MASK-61"]),
        ("MASK", ["MASK-1", "MASK-6.1", "MASK-6.10", "MASK-61"]),
        ("MAS", []),
        ("ROT", []),
        ("", []),
    ],
)
def test_select_takes_a_claim_a_group_or_a_family(known: dict[str, Clause], name: str, expected: list[str]) -> None:
    """Never a longer number that begins alike."""
    assert [clause.id for clause in select(known, name)] == expected


# parse


def test_every_field_arrives() -> None:
    """Continued lines are joined; what is absent is empty."""
    text = family(
        "### MASK-1 A title\nOne line.\n\n    a = b\n- Source: here\n  and there\n- Kind: decision: nobody says\n"
        f"- D: not so\n- B: crashes\n{CONTESTED}    and more\n- Heads: base, causal_lm\n- Catches: a mistake\n"
    )
    clause = parse(text).clauses["MASK-1"]
    assert (clause.family, clause.title, clause.text) == ("MASK", "A title", "One line.\n\n    a = b")
    assert (clause.source, clause.kind, clause.reason) == ("here and there", "decision", "nobody says")
    assert (clause.differs, clause.broken, clause.deviations) == ("not so", "crashes", "DBP")
    assert clause.contested == {p: f"as {p}" for p in PROFILES[:-1]} | {PROFILES[-1]: f"as {PROFILES[-1]} and more"}
    assert (clause.heads, clause.catches) == (("base", "causal_lm"), "a mistake")


def test_a_plain_claim_has_no_deviations_and_all_heads() -> None:
    """Absent fields are empty."""
    clause = parse(family(claim("MASK-1"))).clauses["MASK-1"]
    assert (clause.differs, clause.broken, clause.contested, clause.deviations) == ("", "", {}, "")
    assert (clause.heads, clause.reason) == (HEADS, "")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("# Title\n", "expected a family, '## CFG: Title', found none"),
        ("## MASKS: Masks\n", "SPEC.md, line 1: expected a family of CFG, IN, "),
        ("## MASK: Masks\n## MASK: Masks\n", "SPEC.md, line 2: expected a family of .*, each once"),
        (family("### MASK-01 A title\n"), "line 5: expected '## FAMILY: Title' or .*, got '### MASK-01 A title'"),
        (family("### MASK-1.2.3 A title\n"), "line 5: expected '## FAMILY: Title' or '### FAMILY-1.2 Title'"),
        (family("### MASK-1\n"), "line 5: expected '## FAMILY: Title' or '### FAMILY-1.2 Title'"),
        (family("#### More\n"), "line 5: expected '## FAMILY: Title' or '### FAMILY-1.2 Title'"),
        (family(claim("ROT-1")), "line 5: expected an id of the family MASK"),
        (family(claim("MASK-1"), claim("MASK-1")), "line 12: expected an id that stands here once only, not MASK-1"),
        (family("### MASK-1 A group\n", "### MASK-1 A group\n"), "line 6: expected an id that stands here once only"),
        (family(claim("MASK-1.1")), "line 5: expected the heading of the group MASK-1, with nothing below it"),
        (family(claim("MASK-1"), claim("MASK-1.1")), "line 12: expected the heading of the group MASK-1"),
        (family("### MASK-1 A group\n"), r"line 5: expected a text and fields below MASK-1, or claims MASK-1\.1"),
        (family(claim("MASK-1", Source="")), "line 5: expected the fields .*, Source missing"),
        (family(claim("MASK-1", Heads="", Catches="")), "line 5: expected the fields .*, Heads, Catches missing"),
        (family("### MASK-1 A title\nText alone.\n"), "line 5: expected the fields Source, Kind, Heads, Catches"),
        (family(claim("MASK-1").replace("Something is true.\n", "")), "line 5: expected the claim in words"),
        (family(claim("MASK-1", Kind="rumour")), "line 8: expected a kind of documentation, paper, practice, decision"),
        (family(claim("MASK-1", Kind="decision")), "line 8: expected 'decision: the reason for it'"),
        (family(claim("MASK-1", Kind="paper: says so")), "line 8: expected 'decision: the reason for it', or another"),
        (family(claim("MASK-1", Heads="base, mlm")), "line 9: expected 'all', or heads of base, masked_lm"),
        (family(claim("MASK-1", Heads="base, base")), "line 9: expected 'all', or heads of .*, each once"),
        (family(claim("MASK-1").replace("- Kind", "- Mind")), "line 8: expected a field of Kind, D, .* after Source"),
        (family(claim("MASK-1").replace("- Kind", "- Source")), "line 8: expected a field of Kind, D, B, P, Heads"),
        (family(claim("MASK-1") + "- More: fields\n"), "line 12: expected a field of none after Catches"),
        (family(claim("MASK-1").replace("- Catches", "- Asked: so\n- Catches")), "line 10: expected 'no: the reason"),
        (family(claim("MASK-1") + "More text.\n"), "line 12: expected a field, '- Name: value', or a line indented"),
        (family(claim("MASK-1").replace("practice\n- Kind", "\n- Kind")), "line 7: expected a value after the name"),
        (family(claim("MASK-1").replace("- Heads", "- P: no\n- Heads")), "line 9: expected '- P:' and below it"),
        (family(claim("MASK-1").replace("- Heads", "- P:\n  - documented: so\n- Heads")), "line 9: expected '- P:'"),
        (family(claim("MASK-1").replace("- Heads", "- P:\n  nonsense\n- Heads")), "line 10: expected '  - profile:"),
    ],
)  # fmt: skip
def test_a_file_of_another_form_is_refused_by_line(text: str, message: str) -> None:
    """What was expected, where, and what stands there."""
    with pytest.raises(SpecificationError, match=message):
        parse(text)


# The file's place


def test_the_files_of_this_checkout_are_found() -> None:
    """Beside the package, unless it is installed with copies inside."""
    assert resources.spec_file().name == "SPEC.md"
    assert (resources.fixtures_folder() / "vectors").is_dir()


def test_an_installed_copy_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a wheel both lie inside the package."""
    package = tmp_path / "site-packages" / "roformer_conformance"
    (package / "fixtures").mkdir(parents=True)
    (package / "SPEC.md").write_text("inside", encoding="utf-8")
    monkeypatch.setattr(resources, "_PACKAGE", package)
    assert resources.spec_file() == package / "SPEC.md"
    assert resources.fixtures_folder() == package / "fixtures"


def test_an_incomplete_installation_says_where_it_looked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both places are named."""
    package = tmp_path / "a" / "b"
    monkeypatch.setattr(resources, "_PACKAGE", package)
    with pytest.raises(FileNotFoundError, match=r"SPEC\.md cannot be found: looked for .*b/SPEC\.md and .*a/SPEC\.md"):
        resources.spec_file()
    with pytest.raises(FileNotFoundError, match=r"the fixtures cannot be found: looked for .*b/fixtures and "):
        resources.fixtures_folder()


def test_a_missing_specification_is_reported_by_load_clauses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not an empty table of clauses."""
    monkeypatch.setattr(resources, "_PACKAGE", tmp_path / "a" / "b")
    clauses.load_specification.cache_clear()
    with pytest.raises(FileNotFoundError, match=r"SPEC\.md"):
        load_clauses()
