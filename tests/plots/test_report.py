"""``report.html`` says what the run's files say, needs nothing beside it, and obeys nobody."""

import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from runs import write_run

from lt_lightning.errors import LtError
from lt_lightning.plots.command import report
from lt_lightning.plots.report import ENDS, plain, write_report
from lt_lightning.summary import read_described

VOID = {"meta", "img", "br"}


class Page(HTMLParser):
    """Reads a page: tags that are open at the end, attributes, figures and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.tags: set[str] = set()
        self.rows: list[list[str]] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data


def page(run: Path) -> Page:
    return Page(write_report(run).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of odd names that `lt report` was run for, without torch."""
    run = write_run(tmp_path_factory.mktemp("report") / "<img src=x onerror=alert(1)>", 12)
    code = "import sys; from lt_lightning.commands import main; main(sys.argv[1:]); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code, "report", str(run)], check=True, capture_output=True)
    return run


def test_nothing_is_fetched_from_anywhere_and_no_name_is_obeyed(reported: Path) -> None:
    found = Page((reported / "report.html").read_text(encoding="utf-8"))
    assert found.open == []
    assert not found.tags & {"script", "iframe", "link", "object", "embed", "form", "base"}
    assert not [name for _, name, _ in found.attributes if name.startswith("on")]
    sources = [value for _, name, value in found.attributes if name in ("src", "href", "srcset", "data")]
    assert all(source.startswith(("data:image/png;base64,iVBOR", "plots/", "per_class.csv")) for source in sources)
    assert [tag for tag, name, _ in found.attributes if name == "src"] == ["img"] * 13
    assert "http" not in found.text
    assert "<script>alert(1)</script>" in found.text
    assert "山猫" in found.text
    assert "a\\nb\\x1b[31m" in found.text


@pytest.mark.parametrize("experts", [1, 3])
def test_figures_are_those_of_the_summary(tmp_path: Path, experts: int) -> None:
    run = write_run(tmp_path / "run", 30, experts)
    last = read_described(run)["test"]["last"]
    found = page(run)
    columns = ["acc", "acc_many", "acc_medium", "acc_few", "bal_acc", "nll", "ece"]
    prefixes = ["expert1/", "expert2/", "expert3/", ""] if experts > 1 else [""]
    values = [float(value) for tag, name, value in found.attributes if (tag, name) == ("data", "value")]
    expected = [last[f"{prefix}{column}"] for prefix in prefixes for column in columns]
    assert values[: len(expected)] == expected
    names = [row[0] for row in found.rows[1 : len(prefixes) + 1]]
    members = ["expert 1 CrossEntropy", "expert 2 BalancedSoftmax", "expert 3 InverseSoftmax", "ensemble"]
    assert names == (members if experts > 1 else ["CrossEntropy"])
    assert found.rows[1][1] == f"{100 * last[f'{prefixes[0]}acc']:.1f}"
    assert f"lt test --ckpt_path {run / 'last.ckpt'}" in found.text


def test_it_says_where_a_model_was_chosen_by_the_test_images(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", 3)
    assert "selected on test" not in page(run).text
    text = (run / "summary.json").read_text()
    (run / "summary.json").write_text(text.replace('"selected_on": null', '"selected_on": "test"'))
    assert "selected on test" in page(run).text


def test_of_many_classes_the_worst_and_the_best_are_listed(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", 201)
    found = page(run)
    rows = found.rows[-2 * ENDS :]
    accuracies = [float(row[4]) for row in rows]
    assert accuracies == sorted(accuracies)
    assert found.rows[-2 * ENDS - 1][0] == "class"
    assert ("a", "href", "per_class.csv") in found.attributes


def test_secrets_of_the_configuration_are_hidden(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", 3)
    (run / "config.yaml").write_text("data: https://me:hunter2hunter2@example.org/x\n# <b>\n")
    found = page(run)
    assert "hunter2" not in found.text
    assert "https://***@example.org/x\n# <b>" in found.text


def test_text_is_plain() -> None:
    assert plain("<a href='x'>&") == "&lt;a href=&#x27;x&#x27;&gt;&amp;"
    assert plain("caf\udce9") == "caf\\udce9"


@pytest.mark.parametrize("text", ['{"test": {}}', '{"model": "x", "losses": 3}', "[]"])
def test_a_damaged_summary_is_named(tmp_path: Path, text: str) -> None:
    run = write_run(tmp_path / "run", 3)
    (run / "summary.json").write_text(text)
    with pytest.raises(LtError, match="summary"):
        write_report(run)


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LtError, match="no run was measured here"):
        report([str(tmp_path)])
    with pytest.raises(LtError, match="the following arguments are required: RUN"):
        report([])


def test_the_same_is_made_again(reported: Path) -> None:
    before = (reported / "report.html").read_bytes()
    assert write_report(reported).read_bytes() == before
