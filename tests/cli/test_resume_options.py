"""Options that do not fit a resumed training: each is refused in one line, never a traceback."""

import numpy as np
import pytest
from random_run import save_random_run
from tiny import contents, tiny_config

from seq2seq_cli import train
from seq2seq_cli.config import ModelConfig, RunConfig, TaskConfig
from seq2seq_cli.data.plan import prepare
from seq2seq_cli.errors import ConfigurationError


@pytest.fixture
def resume(s2s_here, tmp_path):
    """Return a function that refuses to resume; there are a run "one" and "t" of one seed."""
    config = prepare(tiny_config()).config
    for name in ("one", "t-seed-4"):
        save_random_run(tmp_path / "runs", name, config)
    (tmp_path / "x.csv").write_text("1 2 3 4,2 1\n" * 9)
    np.save(tmp_path / "table.npy", np.zeros((13, 4), np.float32))

    def refused(*options):
        before = contents(tmp_path / "runs")
        result = s2s_here("train", "--resume", *options, check=False)
        assert contents(tmp_path / "runs") == before
        assert result.stderr.count("\n") == 1
        return result.returncode, result.stderr

    return refused


@pytest.mark.parametrize("run", [["--run", "one"], ["--run", "t", "--seeds", "2"]])
@pytest.mark.parametrize(
    ("options", "setting"),
    [
        (["--data", "x.csv"], "task.data = 'x.csv'"),
        (["--task", "copy"], "task.name = 'copy'"),
        (["--n-in", "4-5"], "task.n_in = '4-5'"),
        (["--n-out", "9"], "task.n_out = 9"),
        (["--set", "task.cardinality=9"], "task.cardinality = 9"),
        (["--set", "task.end_of_sequence=true"], "task.end_of_sequence = True"),
        (["--embedding", "0", "--units", "9"], "model.units = 9"),
    ],
)
def test_a_setting_that_may_not_change_is_refused_by_name(resume, run, options, setting):
    code, message = resume(*run, *options)
    assert code == 2
    assert message.startswith(f"s2s: {setting}: the run was begun with ")


@pytest.mark.usefixtures("resume")
def test_settings_that_do_not_fit_together_are_refused_from_python(tmp_path):
    model = ModelConfig.model_construct({"pretrained_embedding"}, pretrained_embedding="table.npy")
    for config in (
        RunConfig(task=TaskConfig(data="x.csv")),
        RunConfig.model_construct(task=TaskConfig(), model=model, training=RunConfig().training),
    ):
        with pytest.raises(ConfigurationError, match="the run was begun with ''"):
            train(config, tmp_path / "runs", "one", resume=True)


def test_forced_seeds_have_settings_that_fit_together(resume):
    code, message = resume("--run", "t", "--seeds", "2", "--force", "--data", "x.csv")
    assert (code, message) == (
        2,
        "s2s: task.end_of_sequence = false: targets whose lengths vary need their end\n",
    )


def test_one_run_is_resumed_or_replaced(resume):
    assert resume("--run", "one", "--force") == (
        2,
        "s2s: resume and force: use only one of the two\n",
    )


def test_a_run_of_one_seed_is_not_resumed_as_several(resume):
    assert resume("--run", "one", "--seeds", "2") == (
        4,
        "s2s: runs/one is a run of one seed: remove --seeds\n",
    )
