"""Recipes: reading with lines, binding by declared type, and every fault in one error."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dizuo import recipe
from dizuo.errors import RecipeError


@dataclass(frozen=True, slots=True)
class Inner:
    beta: float = 0.1


@dataclass(frozen=True, slots=True)
class Options:
    method: Literal["sft", "dpo"] = "sft"
    """How it is
    trained."""
    epochs: int | None = None
    """Passes."""
    rate: float = 1e-3
    rows: int | Literal["all"] = "all"
    share: str | float | int = 0.0
    labels: tuple[str, ...] = ()
    pair: tuple[float, float] = (0.0, 1.0)
    names: dict[str, int] = field(default_factory=dict)
    inner: Inner = field(default_factory=Inner)
    flag: bool = False
    place: Path = Path()

    def __post_init__(self) -> None:
        if self.epochs is not None and self.epochs < 1:
            raise ValueError(f"epochs must be at least 1, not {self.epochs}")


@dataclass(frozen=True, slots=True)
class Needy:
    must: str


def bound(text: str, *overrides: str) -> Options:
    read = recipe.from_yaml(text, overrides=overrides)
    return recipe.bind(Options, read.section("train"))


def train(text: str, *overrides: str) -> Options:
    return bound(f"name: a\ntrain: {text}", *overrides)


def fault(text: str, *overrides: str) -> str:
    """Return the message of a whole recipe that must not bind."""

    def read_and_bind() -> None:
        read = recipe.from_yaml(text, file="r.yaml", overrides=overrides, strict=False)
        recipe.bind_all([(read.section("train"), (Options,))], file="r.yaml", faults=read.faults)

    with pytest.raises(RecipeError) as caught:
        read_and_bind()
    return str(caught.value)


def test_a_recipe_has_name_seed_and_sections_in_the_order_of_the_steps() -> None:
    read = recipe.from_yaml("deploy: {}\nname: a\nseed: 7\nselect: {model: x}\ntrain:\n")
    assert (read.name, read.seed, list(read.sections)) == ("a", 7, ["select", "train", "deploy"])
    assert read.section("evaluate").values == {}


def test_the_declared_type_decides_what_a_scalar_means() -> None:
    options = train("{rate: 1e-4, labels: [yes, no, 1.10, 007, 2026-01-01, ~x], epochs: 3, flag: yes, place: a/b}")
    assert options.rate == 1e-4
    assert options.labels == ("yes", "no", "1.10", "007", "2026-01-01", "~x")
    assert options.epochs == 3
    assert options.flag is True
    assert options.place == Path("a/b")


@pytest.mark.parametrize(
    ("written", "read"), [("400", 400), ("0.1", 0.1), ("1e-1", 0.1), ("test.csv", "test.csv"), ("'400'", "400")]
)
def test_a_union_takes_the_narrowest_type_that_fits(written: str, read: Any) -> None:
    share = train(f"{{share: {written}}}").share
    assert share == read
    assert type(share) is type(read)


def test_literals_nested_options_and_mappings_bind() -> None:
    options = train("{method: dpo, rows: 640, inner: {beta: 0.5}, names: {a: 1}, pair: [1, 2.5]}")
    assert (options.method, options.rows, options.inner, options.names) == ("dpo", 640, Inner(0.5), {"a": 1})
    assert options.pair == (1.0, 2.5)


def test_an_empty_section_leaves_every_default() -> None:
    assert bound("name: a\ntrain:\n") == Options()


def test_every_wrong_field_of_every_section_is_reported_at_once_in_the_order_of_lines() -> None:
    text = """name: A B
seed: -1
tran: {}
train:
  method: dp
  epochs: two
  epochs: 4
  rate: .nan
  labels: a
  pair: [1]
  inner: {bet: 1}
  names: {a: b}
  flag: 'yes'
  rows: al
  epohcs: 3
"""
    assert fault(text, "train.x=1", "foo") == (
        "r.yaml has 16 wrong fields\n"
        "  line 1: name: expected lower-case letters, digits, '.', '_' and '-', got 'A B'\n"
        "  line 2: seed: expected a whole number from 0 to 4294967295, got -1\n"
        "  line 3: 'tran' is not a section (did you mean 'train'?)\n"
        "  line 5: train.method: expected one of sft, dpo, got 'dp' (did you mean 'dpo'?)\n"
        "  line 6: train.epochs: expected a whole number, got 'two'\n"
        "  line 7: 'epochs' stands twice, first on line 6\n"
        "  line 8: train.rate: expected a number, got .nan\n"
        "  line 9: train.labels: expected a list of texts, got 'a'\n"
        "  line 10: train.pair: expected a list of 2, got a list of 1\n"
        "  line 11: train.inner.bet is not known (did you mean 'beta'?)\n"
        "  line 12: train.names.a: expected a whole number, got 'b'\n"
        "  line 13: train.flag: expected true or false, got 'yes'\n"
        "  line 14: train.rows: expected a whole number or all, got 'al'\n"
        "  line 15: train.epohcs is not known (did you mean 'epochs'?)\n"
        "  --set foo: expected section.field=value\n"
        "  --set: train.x is not known\n"
        "\n"
        "hint: `dizuo recipe schema` lists every section and field"
    )


def test_what_a_dataclass_itself_refuses_stands_at_its_fields_line() -> None:
    assert "line 3: train.epochs must be at least 1, not 0" in fault("name: a\ntrain:\n  epochs: 0\n")


def test_a_field_without_a_default_is_missed() -> None:
    with pytest.raises(RecipeError, match=r"line 2: train\.must is missing"):
        recipe.bind(Needy, recipe.from_yaml("name: a\ntrain: {}").section("train"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "r.yaml is empty"),
        ("# only a comment\n", "r.yaml is empty"),
        ("- a\n- b", "r.yaml: a recipe is a mapping of sections, this is a list of 2"),
        ("hello", "r.yaml: a recipe is a mapping of sections, this is 'hello'"),
        ("name: a\ntrain:\n\tepochs: 1", "r.yaml:3: a tab; YAML indents with spaces"),
        ("name: a: b", "r.yaml:1: a ':' that YAML cannot read here"),
        ('name: "a', "r.yaml:1: a quote that is never closed"),
        ("name: [a", "r.yaml:1: not YAML (expected ',' or ']', but got '<stream end>')"),
        ("name: a\n---\nname: b", "r.yaml:2: a second document ('---'); a recipe is one"),
        ("a: &x 1\nb: *x", "r.yaml:1: anchors and aliases are not read in a recipe"),
        ("name: a\x00b", "r.yaml:1: a character that YAML does not allow (U+0000)"),
        ("name: a\ntrain: 3", "line 2: train is a section of fields, this is 3"),
        ("seed: 1", "line 1: a recipe needs a name, such as `name: my-run`"),
        ("? [a, b]\n: 1\n", "line 1: a key must be one word"),
        (
            "name: a\ntrain: !!python/object/apply:os.system [ls]",
            "r.yaml:2: tags are not read in a recipe (tag:yaml.org,2002:python/object/apply:os.system)",
        ),
        ("name: !mine a", "r.yaml:1: tags are not read in a recipe (!mine)"),
    ],
)
def test_what_is_no_recipe_is_refused_with_its_line(text: str, message: str) -> None:
    assert message in fault(text)


def test_nesting_without_end_is_refused() -> None:
    assert "r.yaml:1: nested too deeply" in fault("a: " + "[" * 5000 + "]" * 5000)


def test_files_that_cannot_be_recipes_say_why(tmp_path: Path) -> None:
    def message(path: Path) -> str:
        with pytest.raises(RecipeError) as caught:
            recipe.read(path)
        return str(caught.value)

    (tmp_path / "tickets.yaml").write_text("name: a")
    (tmp_path / "latin.yaml").write_bytes(b"name: a\ntrain: {instruction: caf\xe9}\n")
    (tmp_path / "huge.yaml").write_text("a" * 1_000_001)
    assert message(tmp_path / "ticket.yaml").startswith(f"there is no recipe at {tmp_path}/ticket.yaml")
    assert message(tmp_path / "ticket.yaml").endswith("hint: there is 'tickets.yaml' beside it")
    assert message(tmp_path).startswith(f"{tmp_path} is a folder, not a recipe")
    assert message(tmp_path / "latin.yaml").startswith(f"{tmp_path}/latin.yaml:2: not UTF-8 text")
    assert "1,000,001 bytes" in message(tmp_path / "huge.yaml")


def test_a_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_bytes(b"\xef\xbb\xbfname: a\n")
    assert recipe.read(tmp_path / "r.yaml").name == "a"


def test_set_wins_over_the_file_and_says_so() -> None:
    read = recipe.from_yaml(
        "name: a\ntrain: {epochs: 1, rate: 0.5, inner: {beta: 2}}",
        overrides=("train.epochs=4", "train.inner.beta=3", "seed=9", "name=b", "train.labels=[x, y]"),
    )
    options = recipe.bind(Options, read.section("train"))
    assert (read.name, read.seed, options.epochs, options.rate) == ("b", 9, 4, 0.5)
    assert (options.inner.beta, options.labels) == (3.0, ("x", "y"))
    found = recipe.origins(Options, read.section("train"))
    assert (found["epochs"], found["rate"], found["method"]) == ("command line", "recipe", "default")


def test_set_takes_text_with_a_colon_in_it() -> None:
    read = recipe.from_yaml("name: a", overrides=("prepare.instruction=Answer: yes or no",))
    assert recipe.plain(read.section("prepare")) == {"instruction": "Answer: yes or no"}


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ("train", "--set train: expected section.field=value"),
        ("=3", "--set =3: expected section.field=value"),
        ("train.=3", "--set train.=3: expected section.field=value"),
        ("train.labels=[a", "--set train.labels: not YAML"),
        ("train.epochs.x=1", "--set train.epochs.x: epochs is not a section"),
        ("tarin.epochs=1", "--set: 'tarin' is not a section (did you mean 'train'?)"),
        ("train.epochs=0", "--set: train.epochs must be at least 1, not 0"),
        ("name=Bad Name", "--set: name: expected lower-case letters"),
    ],
)
def test_a_wrong_set_is_named(item: str, message: str) -> None:
    assert message in fault("name: a\ntrain: {epochs: 1}", item)


def test_keyword_arguments_are_checked_as_recipes_are() -> None:
    with pytest.raises(RecipeError) as caught:
        recipe.bind(Options, recipe.block({"epohcs": 2, "rate": "fast", "labels": ["a", 3]}))
    assert caught.value.details == (
        "the call: epohcs is not known (did you mean 'epochs'?)",
        "the call: rate: expected a number, got 'fast'",
        "the call: labels: expected text, got 3",
    )


def test_writing_and_reading_is_the_identity(tmp_path: Path) -> None:
    text = "name: a\nseed: 3\ntrain: {labels: [yes, '1', 经济], rate: 1e-4, rows: 5}\nprepare: {instruction: 'a: b'}"
    read = recipe.from_yaml(text)
    recipe.write(read, tmp_path / "r.yaml")
    again = recipe.read(tmp_path / "r.yaml")
    assert (again.name, again.seed, list(again.sections)) == ("a", 3, ["prepare", "train"])
    assert recipe.plain(again.section("prepare")) == {"instruction": "a: b"}
    ours, theirs = (recipe.bind(Options, one.section("train")) for one in (read, again))
    assert ours == theirs
    assert ours.labels == ("yes", "1", "经济")


@given(st.text(max_size=60))
def test_no_text_at_all_makes_reading_raise_anything_else(text: str) -> None:
    with contextlib.suppress(RecipeError):
        assert recipe.from_yaml(text).name


@given(st.lists(st.text(min_size=1, max_size=20), max_size=4))
def test_no_override_makes_reading_raise_anything_else(overrides: list[str]) -> None:
    with contextlib.suppress(RecipeError):
        assert recipe.from_yaml("name: a\ntrain: {epochs: 1}", overrides=overrides).name


def test_the_schema_lists_types_defaults_and_the_attribute_docstrings() -> None:
    schema = recipe.schema({"train": (Options,)})
    fields = schema["properties"]["train"]["properties"]
    assert fields["method"] == {"enum": ["sft", "dpo"], "default": "sft", "description": "How it is trained."}
    assert fields["labels"] == {"type": "array", "items": {"type": "string"}, "default": []}
    assert fields["inner"]["properties"]["beta"] == {"type": "number", "default": 0.1}
    assert schema["required"] == ["name"]
    json.dumps(schema)
