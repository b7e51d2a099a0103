"""models.toml: what loads, what is refused and in which words, what is merely unavailable."""

from pathlib import Path

import pytest

from common.errors import ConfigurationError, UnpricedModelError
from model_layer.deployments import DeploymentCatalogue, Tier, load_deployments
from model_layer.providers import build_provider
from model_layer.providers.openai_chat import OpenAIChatOptions, OpenAIChatProvider
from model_layer.providers.scripted import ScriptedOptions

PRICE = "price = { input_usd_per_mtok = 0, output_usd_per_mtok = 0 }"
OWN_SERVER = f'[[deployment]]\nmodel = "m"\nbase_url = "http://127.0.0.1:9/v1"\n{PRICE}\n'
SCRIPTED = f'[[deployment]]\nprovider = "scripted"\nmodel = "s"\n{PRICE}\n'


@pytest.fixture
def models_file(tmp_path: Path) -> Path:
    return tmp_path / "models.toml"


def _load(models_file: Path, text: str, **environ: str) -> DeploymentCatalogue:
    models_file.write_text(text, encoding="utf-8")
    return load_deployments(models_file, environ)


def _refusal(models_file: Path, text: str, **environ: str) -> str:
    with pytest.raises(ConfigurationError) as refused:
        _load(models_file, text, **environ)
    assert str(models_file) in str(refused.value)
    return str(refused.value)


def test_three_lines_point_at_openai(models_file: Path) -> None:
    catalogue = _load(
        models_file,
        '[[deployment]]\nmodel = "gpt-5-mini"\nkey_env = "OPENAI_API_KEY"\n'
        "price = { input_usd_per_mtok = 0.25, cached_input_usd_per_mtok = 0.025, output_usd_per_mtok = 2 }\n",
        OPENAI_API_KEY="sk-1",
    )
    (deployment,) = catalogue.deployments
    assert catalogue.default == deployment.alias == "gpt-5-mini"
    assert deployment.base_url == "https://api.openai.com/v1"
    assert deployment.unavailable is None
    assert (deployment.price.input_rate, deployment.price.output_rate) == (250_000_000, 2_000_000_000)
    assert deployment.price.cached_input_rate == 25_000_000


def test_three_lines_point_at_a_server_of_your_own(models_file: Path) -> None:
    (deployment,) = _load(models_file, OWN_SERVER).deployments
    assert deployment.base_url == "http://127.0.0.1:9/v1"
    assert deployment.options == OpenAIChatOptions()
    assert deployment.tier is Tier.STANDARD


def test_base_urls_take_variables_from_the_environment(models_file: Path) -> None:
    text = OWN_SERVER.replace("http://127.0.0.1:9", "http://127.0.0.1:${LLM_PORT}")
    (deployment,) = _load(models_file, text, LLM_PORT="8181").deployments
    assert deployment.base_url == "http://127.0.0.1:8181/v1"
    (deployment,) = _load(models_file, text).deployments
    assert "LLM_PORT" in (deployment.unavailable or "")


async def test_a_missing_key_makes_a_deployment_unavailable_and_names_the_variable(models_file: Path) -> None:
    text = f'[[deployment]]\nmodel = "m"\nkey_env = "MY_KEY"\n{PRICE}\n'
    (deployment,) = _load(models_file, text).deployments
    assert "MY_KEY" in (deployment.unavailable or "")
    with pytest.raises(ConfigurationError, match="MY_KEY"):
        build_provider(deployment, {})
    (deployment,) = _load(models_file, text, MY_KEY="k").deployments
    assert isinstance(build_provider(deployment, {"MY_KEY": "k"}), OpenAIChatProvider)


def test_a_key_that_no_header_can_carry_is_refused_without_being_shown(models_file: Path) -> None:
    text = f'[[deployment]]\nmodel = "m"\nkey_env = "MY_KEY"\n{PRICE}\n'
    (deployment,) = _load(models_file, text, MY_KEY="k").deployments
    with pytest.raises(ConfigurationError, match="MY_KEY") as refused:
        build_provider(deployment, {"MY_KEY": "sk-1\r\nX-Evil: 1"})
    assert "sk-1" not in str(refused.value)


def test_keys_are_not_part_of_a_deployment(models_file: Path) -> None:
    text = f'[[deployment]]\nmodel = "m"\nkey_env = "MY_KEY"\n{PRICE}\n'
    assert "sk-secret" not in repr(_load(models_file, text, MY_KEY="sk-secret"))


def test_options_belong_to_the_provider(models_file: Path) -> None:
    (deployment,) = _load(models_file, SCRIPTED + "latency_ms = [20, 60]\nseed = 7\n").deployments
    assert deployment.options == ScriptedOptions(seed=7, latency_ms=(20, 60))


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("", "no price"),
        ("price = { output_usd_per_mtok = 0 }", "price.input_usd_per_mtok"),
        ("price = { input_usd_per_mtok = 0 }", "price.output_usd_per_mtok"),
    ],
)
def test_p5_a_deployment_without_a_price_is_refused(models_file: Path, line: str, named: str) -> None:
    models_file.write_text(f'[[deployment]]\nalias = "cheap"\nmodel = "m"\nkey_env = "K"\n{line}\n')
    with pytest.raises(UnpricedModelError) as refused:
        load_deployments(models_file, {})
    for part in (str(models_file), "cheap", named, "write 0"):
        assert part in str(refused.value)


@pytest.mark.parametrize("value", ["-1", '"free"', "true", "nan", "0.0000000001"])
def test_p5_a_price_that_is_no_price_is_refused(models_file: Path, value: str) -> None:
    text = OWN_SERVER.replace("input_usd_per_mtok = 0,", f"input_usd_per_mtok = {value},")
    assert "price.input_usd_per_mtok" in _refusal(models_file, text)


def test_price_versions_follow_the_rates_unless_written(models_file: Path) -> None:
    free, dear = (
        _load(models_file, text).deployments[0].price.version
        for text in (OWN_SERVER, OWN_SERVER.replace("output_usd_per_mtok = 0", "output_usd_per_mtok = 1"))
    )
    assert free != dear
    written = OWN_SERVER.replace("_mtok = 0 }", '_mtok = 0, version = "2026-11" }')
    assert _load(models_file, written).deployments[0].price.version == "2026-11"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("deployment = [", ["not TOML", "Mend"]),
        ("", ["names no deployment", "[[deployment]]"]),
        ("deployment = 3", ["names no deployment"]),
        ("defualt = 'm'\n" + OWN_SERVER, ["'defualt'"]),
        ("default = 'x'\n" + OWN_SERVER, ["default = 'x'", "Write one of: m"]),
        (OWN_SERVER + SCRIPTED, ["`default` is missing", 'default = "m"']),
        ("default = 'm'\n" + OWN_SERVER + OWN_SERVER, ["two deployments are called 'm'", "alias"]),
        (OWN_SERVER + "alias = 'default'\n", ["called 'default'", "another `alias`"]),
        (OWN_SERVER + "colour = 'red'\n", ["unknown key 'colour'", "docs/models.md"]),
        (OWN_SERVER + "limits = { rps = 1 }\n", ["unknown key 'limits.rps'"]),
        (OWN_SERVER + "limits = { concurrency = 0 }\n", ["limits.concurrency", "greater than or equal to 1"]),
        (OWN_SERVER + "tier = 'huge'\n", ["tier", "small"]),
        (OWN_SERVER + "profile = 'vllm'\n", ["profile", "generic"]),
        (OWN_SERVER + "provider = 'acme'\n", ["'acme' is unknown", "openai_chat, scripted"]),
        (OWN_SERVER.replace("127.0.0.1", "10.0.0.1"), ["allow_http = true"]),
        (f"[[deployment]]\nmodel = 'm'\n{PRICE}\n", ["key_env", "base_url"]),
        (f"[[deployment]]\nalias = 'a'\nkey_env = 'K'\n{PRICE}\n", ["model", "'a'"]),
        (f"[[deployment]]\nmodel = 'a b'\nkey_env = 'K'\n{PRICE}\n", ["alias"]),
        (SCRIPTED + "base_url = 'http://127.0.0.1/v1'\n", ["Remove `base_url`"]),
        (SCRIPTED + "output = 'x'\noutputs = ['y']\n", ["either `output` or `outputs`"]),
        (SCRIPTED + "faults = { rate_limited = 0.9, timeout = 0.2 }\n", ["sum to more than 1"]),
        (SCRIPTED + "rule = [{ match = 'x', output = 'y', error = 'auth' }]\n", ["rule", "either"]),
        (SCRIPTED + "latency_ms = [9, 1]\n", ["[least, most]"]),
    ],
)
def test_what_is_not_understood_is_refused_with_the_mend(models_file: Path, text: str, parts: list[str]) -> None:
    refusal = _refusal(models_file, text)
    for part in parts:
        assert part in refusal


def test_a_missing_file_says_what_to_copy(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"models\.example\.toml"):
        load_deployments(tmp_path / "absent.toml", {})


def test_the_shipped_example_loads() -> None:
    example = Path(__file__).parents[3] / "models.example.toml"
    catalogue = load_deployments(example, {"OPENAI_API_KEY": "k", "HEADRACE_LLM_BASE_URL": "http://127.0.0.1:1/v1"})
    assert all(each.unavailable is None for each in catalogue.deployments)


def test_the_documented_three_lines_load(models_file: Path) -> None:
    document = (Path(__file__).parents[3] / "docs" / "models.md").read_text(encoding="utf-8")
    examples = [block.split("```")[0] for block in document.split("```toml\n")[1:]]
    complete = [example for example in examples if "model =" in example]
    assert len(complete) == 2
    for example in complete:
        assert len(example.splitlines()) == 4
        (deployment,) = _load(models_file, example, OPENAI_API_KEY="k").deployments
        assert deployment.unavailable is None
