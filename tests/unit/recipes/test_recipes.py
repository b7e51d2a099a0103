"""A recipe is checked as a whole when it is read, and is the same recipe wherever its bundle goes."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import RecipeError
from common.recipes import RecipeCatalogue, from_bundle, load_catalogue, load_folder, shipped_recipes
from common.schema import check, parse_json

BUNDLE = {
    "recipe.toml": 'name = "greeting"\nversion = "1.2.0"\ndescription = "Greets."\n\n[[step]]\nid = "greet"\n',
    "input.schema.json": '{"type": "object", "properties": {"who": {"type": "string"}}, "required": ["who"]}',
    "output.schema.json": '{"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}',
    "prompt.j2": "Greet {{ input.who }}.",
    "examples/01.json": '{"who": "Ada"}',
}
MANIFEST = BUNDLE["recipe.toml"]


def write(folder: Path, bundle: dict[str, str]) -> Path:
    for name, text in bundle.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return folder


def refusal(changes: Mapping[str, str | None]) -> str:
    bundle = {name: text for name, text in {**BUNDLE, **changes}.items() if text is not None}
    with pytest.raises(RecipeError) as caught:
        from_bundle(bundle, "recipes/greeting")
    return str(caught.value)


def test_a_folder_gives_a_recipe_with_defaults(tmp_path: Path) -> None:
    recipe = load_folder(write(tmp_path / "greeting", BUNDLE | {"README.md": "for people", ".DS_Store": "x"}))

    assert recipe.reference == "greeting@1.2.0"
    assert recipe.steps[0].model_dump() == {
        "id": "greet",
        "model": "default",
        "escalate_to": (),
        "max_output_tokens": 1024,
        "max_output_tokens_if_cut": None,
        "temperature": None,
        "max_attempts": 4,
        "max_reasks": 1,
    }
    assert recipe.examples == {"examples/01.json": {"who": "Ada"}}
    assert recipe.prompt.render({"input": {"who": "Ada"}}) == "Greet Ada."
    assert recipe.bundle() == BUNDLE


def test_a_bundle_rebuilds_the_same_recipe() -> None:
    recipe = from_bundle(BUNDLE)
    stored = json.loads(json.dumps(recipe.bundle()))

    assert from_bundle(dict(reversed(stored.items())), "elsewhere") == recipe
    assert from_bundle(stored).content_hash == recipe.content_hash


@pytest.mark.parametrize("name", list(BUNDLE))
def test_any_change_of_any_file_is_another_content(name: str) -> None:
    assert from_bundle(BUNDLE | {name: BUNDLE[name] + "\n"}).content_hash != from_bundle(BUNDLE).content_hash


def test_line_ends_are_no_content(tmp_path: Path) -> None:
    unix = write(tmp_path / "unix", BUNDLE)
    windows = tmp_path / "windows"
    for file in [f for f in unix.rglob("*") if f.is_file()]:
        target = windows / file.relative_to(unix)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))

    assert load_folder(windows) == load_folder(unix)


@pytest.mark.parametrize(
    ("manifest", "expected"),
    [
        ("name = ", "recipe.toml is not TOML"),
        (MANIFEST + "max_output_token = 5\n", "recipe.toml, line 7: the key step.0.max_output_token is not known"),
        ('colour = "red"\n' + MANIFEST, "recipe.toml, line 1: the key colour is not known"),
        (MANIFEST.replace('version = "1.2.0"\n', ""), "the key version is missing"),
        (MANIFEST.replace("1.2.0", "1.2"), "line 2: version is '1.2'. Write a semantic version"),
        (MANIFEST.replace("greeting", "Greeting Card"), "line 1: name is 'Greeting Card'. Write lower-case words"),
        (MANIFEST.replace('[[step]]\nid = "greet"\n', ""), "there is no step"),
        (MANIFEST + "temperature = 3.0\n", "line 7: step.0.temperature"),
        (MANIFEST + 'max_reasks = "1"\n', "line 7: step.0.max_reasks"),
        (MANIFEST + '[[step]]\nid = "second"\n', "line 7: the recipe has 2 steps. One step runs now"),
    ],
)
def test_a_faulty_manifest_is_refused_with_its_line(manifest: str, expected: str) -> None:
    message = refusal({"recipe.toml": manifest})

    assert message.startswith("recipes/greeting/recipe.toml")
    assert expected in message


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"prompt.j2": None}, "recipes/greeting has no prompt.j2. Add it"),
        ({"prompt.jinja": "x"}, "recipes/greeting/prompt.jinja is no part of a recipe"),
        ({"examples/deep/01.json": "{}"}, "is no part of a recipe"),
        ({"prompt.j2": "{{ input.who"}, "recipes/greeting: greeting@1.2.0/prompt.j2, line 1"),
        ({"prompt.j2": "{{ who }}"}, "recipes/greeting/prompt.j2 reads who"),
        ({"system.j2": "{% include 'x' %}"}, "is not allowed"),
        ({"input.schema.json": '{"type": "objekt"}'}, "recipes/greeting/input.schema.json, at /type: "),
        ({"output.schema.json": '{"$ref": "https://example.com/x"}'}, "output.schema.json, at /$ref: "),
        ({"output.schema.json": '{"type": "object",}'}, "output.schema.json, line 1, column 18"),
        ({"output.schema.json": "true"}, "must be a JSON object"),
        ({"examples/01.json": '{"who": 5}'}, "examples/01.json does not satisfy input.schema.json: at /who"),
        ({"prompt.j2": "x" * 600_000}, "is longer than"),
    ],
)
def test_a_faulty_file_is_refused_by_name(changes: dict[str, str | None], expected: str) -> None:
    assert expected in refusal(changes)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    folder = write(tmp_path / "greeting", BUNDLE)
    (folder / "prompt.j2").write_bytes(b"\xff\xfe")

    with pytest.raises(RecipeError, match="not UTF-8"):
        load_folder(folder)


def of_version(version: str, prompt: str = "x") -> Any:
    return from_bundle(BUNDLE | {"recipe.toml": MANIFEST.replace("1.2.0", version), "prompt.j2": prompt}, version)


def test_the_catalogue_finds_by_name_version_and_hash() -> None:
    versions = ["1.10.0", "1.9.0", "2.0.0-rc.1", "1.2.0"]
    catalogue = RecipeCatalogue([of_version(v) for v in versions])

    newest = catalogue.get("greeting")
    assert newest is not None
    assert newest.version == "1.10.0"
    assert catalogue.find("greeting@2.0.0-rc.1") == catalogue.get("greeting", "2.0.0-rc.1")
    assert catalogue.by_hash(newest.content_hash) is newest
    assert [r.version for r in catalogue.list()] == ["2.0.0-rc.1", "1.2.0", "1.9.0", "1.10.0"]
    assert catalogue.get("greeting", "3.0.0") is None
    assert catalogue.find("unknown") is None
    assert catalogue.find("greeting@") is newest


def test_a_version_never_changes() -> None:
    with pytest.raises(RecipeError, match="twice with different content"):
        RecipeCatalogue([of_version("1.0.0"), of_version("1.0.0", "y")])

    assert len(RecipeCatalogue([of_version("1.0.0"), of_version("1.0.0")]).list()) == 1


@given(
    st.permutations(["1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1"])
)
def test_versions_order_as_semver_says(versions: list[str]) -> None:
    catalogue = RecipeCatalogue([of_version(v) for v in versions])

    assert [r.version for r in catalogue.list()] == [
        "1.0.0-alpha",
        "1.0.0-alpha.1",
        "1.0.0-alpha.beta",
        "1.0.0-beta.2",
        "1.0.0-beta.11",
        "1.0.0-rc.1",
    ]


def test_paths_are_recipes_or_folders_of_recipes(tmp_path: Path) -> None:
    write(tmp_path / "many" / "a", BUNDLE)
    one = write(tmp_path / "one", BUNDLE | {"recipe.toml": MANIFEST.replace("greeting", "parting")})

    assert [r.name for r in load_catalogue([tmp_path / "many", one]).list()] == ["greeting", "parting"]
    with pytest.raises(RecipeError, match="is not a folder"):
        load_catalogue([tmp_path / "absent"])


def _unbounded(schema: Any, pointer: str = "") -> list[str]:
    """Return the places of a schema where an answer could go on for ever."""
    found = []
    if isinstance(schema, dict):
        if (
            schema.get("type") == "string"
            and "maxLength" not in schema
            and not str(schema.get("pattern")).endswith("}$")
        ):
            found.append(pointer)
        if schema.get("type") == "array" and "maxItems" not in schema:
            found.append(pointer)
        if schema.get("type") == "object" and schema.get("additionalProperties") is not False:
            found.append(pointer)
        for key, value in schema.items():
            found += _unbounded(value, f"{pointer}/{key}")
    return found


@pytest.mark.parametrize("recipe", load_catalogue([shipped_recipes()]).list(), ids=lambda r: r.name)
def test_shipped_recipes_are_bounded_and_render_their_examples(recipe: Any) -> None:
    assert len(recipe.examples) >= 3
    assert _unbounded(recipe.output.schema) == []
    assert set(recipe.output.schema["required"]) == set(recipe.output.schema["properties"])
    for example in recipe.examples.values():
        assert check(example, recipe.input.schema) == []
        assert recipe.prompt.render({"input": example, "output_schema": recipe.output_schema_text}).strip()
    assert parse_json(recipe.output_schema_text) == recipe.output.schema
