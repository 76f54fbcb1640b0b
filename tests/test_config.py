import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from seq2seq_cli.config import ModelConfig, RunConfig, TaskConfig, TrainingConfig
from seq2seq_cli.errors import ConfigurationError, StorageError
from seq2seq_cli.settings import all_settings, parse_config, resolve, setting_title

COUNTS = st.integers(1, 10**12)

CONFIGS = st.builds(
    RunConfig,
    task=st.builds(
        TaskConfig,
        name=st.text(st.characters(exclude_categories=["Cs"])),
        n_in=COUNTS,
        n_out=COUNTS,
        cardinality=st.integers(2, 1_000_000),
    ),
    model=st.builds(ModelConfig, units=COUNTS),
    training=st.builds(
        TrainingConfig,
        n_samples=COUNTS,
        epochs=COUNTS,
        batch_size=COUNTS,
        learning_rate=st.floats(0, 3.4e38, exclude_min=True),
        schedule=st.sampled_from(["cosine", "constant"]),
        clip_norm=st.floats(0, 3.4e38),
        seed=st.integers(0, 2**63 - 1),
    ),
)


def problems_of(*args, **kwargs):
    with pytest.raises(ConfigurationError) as caught:
        resolve(*args, **kwargs)
    return str(caught.value).splitlines()


@pytest.fixture
def file(tmp_path):
    def write(text):
        path = tmp_path / "settings.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


@examples(derandomize=True, deadline=None, max_examples=150)
@given(CONFIGS)
def test_toml_round_trip(config):
    assert parse_config(config.to_toml(), "config.toml") == config


def test_toml_writes_out_every_setting():
    text = RunConfig().to_toml()
    for section, values in RunConfig().model_dump().items():
        assert f"[{section}]" in text
        assert all(f"\n{key} = " in text for key, value in values.items() if value is not None)


def test_defaults_are_those_of_the_tutorial():
    config = resolve()
    assert config == RunConfig() == parse_config("", "empty.toml")
    task = config.task
    assert (task.name, task.n_in, task.n_out, task.cardinality) == ("reverse-prefix", 6, 3, 51)
    assert (config.model.units, config.training.n_samples) == (128, 100_000)
    assert (config.training.epochs, config.training.seed) == (1, 0)


def test_options_override_settings_and_settings_override_the_file(file):
    path = file("[task]\nn_in = 9\nn_out = 4\ncardinality = 20\n")
    options = {"task.n_in": 7, "model.units": None}
    config = resolve(path, ["task.n_in=8", "task.n_out=6", "task.n_out=5"], options)
    assert config == RunConfig(task=TaskConfig(n_in=7, n_out=5, cardinality=20))


@pytest.mark.parametrize(
    "text", ["task.name=copy", 'task.name="copy"', "task.name='copy'", " task.name = copy "]
)
def test_setting_of_a_text_needs_no_quotes(text):
    assert resolve(None, [text]).task.name == "copy"


@pytest.mark.parametrize(
    ("text", "value"), [("0.5", 0.5), ("1e-3", 0.001), ("1", 1.0), ("1_000", 1000.0)]
)
def test_setting_of_a_number_is_a_toml_value(text, value):
    rate = resolve(None, [f"training.learning_rate={text}"]).training.learning_rate
    assert rate == value
    assert type(rate) is float


@pytest.mark.parametrize(
    ("key", "value", "accepted"),
    [
        ("task.n_in", "0", "greater than or equal to 1"),
        ("task.cardinality", "1", "greater than or equal to 2"),
        ("task.cardinality", "1000001", "less than or equal to 1000000"),
        ("model.units", "0", "greater than or equal to 1"),
        ("training.n_samples", "0", "greater than or equal to 1"),
        ("training.learning_rate", "0.0", "greater than 0"),
        ("training.learning_rate", "inf", "finite"),
        ("training.learning_rate", "nan", "finite"),
        ("training.learning_rate", "1e+39", "less than or equal to 34"),
        ("training.clip_norm", "1e+39", "less than or equal to 34"),
        ("training.clip_norm", "-0.5", "greater than or equal to 0"),
        ("training.seed", "-1", "greater than or equal to 0"),
        ("training.seed", "9223372036854775808", "less than 2**63"),
        ("training.epochs", "9" * 400, "less than 2**63"),
    ],
)
def test_value_out_of_range_is_named_with_what_is_accepted(key, value, accepted):
    (line,) = problems_of(None, [f"{key}={value}"])
    assert line.startswith(f"{key} = {value}: ")
    assert accepted in line


@pytest.mark.parametrize("key", ["training.epochs", "unknown"])
def test_a_number_that_python_does_not_write_out_is_refused(key):
    (line,) = problems_of(None, [f"{key}=0x{'f' * 6000}"])
    assert line.startswith(f"{key} = a number of thousands of digits: ")


def test_a_wrong_choice_is_refused_with_the_choices():
    (line,) = problems_of(None, ["training.schedule=linear"])
    assert line.startswith("training.schedule = 'linear': ")
    assert "'cosine' or 'constant'" in line


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("task.n_in", "true"),
        ("task.n_in", '"3"'),
        ("task.n_in", "3.0"),
        ("task.n_in", "three"),
        ("task.n_in", "[3]"),
        ("task.n_in", ""),
        ("task.name", "3"),
        ("task.n_in", "9" * 5000),
        ("model.units", "64\nother = 3"),
        ("training.learning_rate", "true"),
        ("training.learning_rate", '"0.1"'),
        ("training.seed", "1979-05-27"),
    ],
)
def test_types_are_strict(key, value):
    (line,) = problems_of(None, [f"{key}={value}"])
    assert line.startswith(f"{key} = ")
    assert "should be a valid" in line
    (line,) = problems_of(options={"task.n_in": "3"})
    assert line.startswith("task.n_in = '3': ")


def test_everything_wrong_is_reported_together(file):
    path = file('[task]\nn_in = 0\nnin = 4\n[modle]\nunits = 3\n[training]\nseed = "a"\n')
    lines = problems_of(
        path,
        ["model.unit=64", "units", "training.epochs=0"],
        {"training.clip_norm": -1.0},
        lambda task: ["never asked: the task's section is wrong"],
    )
    starts = [
        "task.n_in = 0: ",
        "task.nin = 4: ",
        "modle = {'units': 3}: ",
        "training.seed = 'a': ",
        "model.unit = 64: ",
        "units: ",
        "training.epochs = 0: ",
        "training.clip_norm = -1.0: ",
    ]
    assert len(lines) == len(starts)
    assert all(any(line.startswith(start) for line in lines) for start in starts)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("model.unit=64", "model.units"),
        ("training.learning-rate=0.1", "training.learning_rate"),
        ("tasks.n_in=3", "task.n_in"),
        ("taskn_in=3", "task.n_in"),
    ],
)
def test_an_unknown_setting_is_refused_with_the_close_one(text, meant):
    (line,) = problems_of(None, [text])
    assert line.startswith(text.partition("=")[0] + " = ")
    assert f"did you mean {meant}?" in line


def test_an_unknown_section_or_option_is_refused_with_the_close_one(file):
    assert "did you mean training?" in problems_of(file("[trainig]\nseed = 1\n"))[0]
    assert "did you mean model.units?" in problems_of(options={"model.unit": 3})[0]


def test_an_unknown_setting_is_refused_with_all_known_ones():
    (line,) = problems_of(None, ["xyzzy=1"])
    for section, values in RunConfig().model_dump().items():
        assert all(f"{section}.{key}" in line for key in values)


def test_a_setting_needs_an_equals_sign():
    assert problems_of(None, ["model.units"]) == ["model.units: should be section.key=value"]


def test_a_section_is_not_a_value(file):
    (line,) = problems_of(file("task = 3\n"), ["task.n_in=4"])
    assert line == "task = 3: should be a section, [task]"


def test_check_of_the_task_is_reported_with_the_rest():
    asked = []

    def check(task):
        asked.append(task)
        return ["task.n_out = 3: too long"]

    lines = problems_of(None, ["task.n_in=2", "model.units=0"], check=check)
    assert asked == [TaskConfig(n_in=2)]
    assert "task.n_out = 3: too long" in lines
    assert len(lines) == 2


def test_a_file_that_is_not_toml_is_named_with_the_line(file):
    path = file("[task]\nn_in = = 3\n")
    (line,) = problems_of(path)
    assert str(path) in line
    assert "line 2" in line


def test_missing_file_is_named(tmp_path):
    with pytest.raises(StorageError, match=r"absent\.toml"):
        resolve(tmp_path / "absent.toml")


@examples(derandomize=True, deadline=None, max_examples=200)
@given(st.lists(st.text(max_size=20) | st.text("taskn_i.=1[]\"'{}\n", max_size=25), max_size=3))
def test_any_setting_is_taken_or_reported(texts):
    try:
        config = resolve(None, texts)
    except ConfigurationError:
        return
    assert parse_config(config.to_toml(), "config.toml") == config


def test_a_curriculum_is_not_a_setting():
    with pytest.raises(ConfigurationError, match="training.curriculum = 'auto': no such setting"):
        resolve(settings=["training.curriculum=auto"])


def test_a_pretrained_embedding_needs_its_size():
    with pytest.raises(ConfigurationError, match="needs model.embedding"):
        resolve(settings=["model.pretrained_embedding=a.npy"])


@pytest.mark.parametrize(
    ("n_in", "end", "has_end"),
    [(6, None, False), ("1-25", None, True), ("6-6", None, True), (6, True, True)],
)
def test_targets_have_an_end_where_lengths_vary_or_it_is_asked_for(n_in, end, has_end):
    task = TaskConfig(n_in=n_in, end_of_sequence=end)
    assert task.has_end is has_end
    assert parse_config(RunConfig(task=task).to_toml(), "saved.toml").task.has_end is has_end


def test_varying_targets_without_an_end_are_refused():
    with pytest.raises(ConfigurationError, match="end_of_sequence = false: targets whose lengths"):
        resolve(options={"task.n_in": "1-25", "task.end_of_sequence": False})


def test_the_settings_that_were_set_are_known():
    config = resolve(settings=["model.units=9"], options={"task.n_in": None, "training.seed": 3})
    assert (config.task.model_fields_set, config.model.model_fields_set) == (set(), {"units"})
    assert config.training.model_fields_set == {"seed"}


def test_custom_data_replaces_the_task_of_a_file(tmp_path):
    path = tmp_path / "varying.toml"
    path.write_text('[task]\nname = "reverse"\nn_in = "1-25"\n[model]\nunits = 8\n')
    task = resolve(path, options={"task.data": "pairs.jsonl"}).task
    assert task.model_fields_set == {"data"}
    assert resolve(path, ["task.data=pairs.jsonl", "task.n_in=9"]).task.n_in == 9
    assert resolve(path).task.n_in == "1-25"


@pytest.mark.parametrize("key", all_settings())
def test_every_setting_has_a_title_for_an_axis(key):
    title = setting_title(key)
    assert title != key
    assert 1 <= len(title) <= 60
    assert setting_title("predicted") == "predicted"
