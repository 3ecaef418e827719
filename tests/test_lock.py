"""requirements.lock is the pinned set with all that it needs, each file known by its hash."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
LOCK = (ROOT / "requirements.lock").read_text()


def test_it_holds_the_pinned_set():
    pinned = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["pinned"]
    for requirement in pinned:
        assert f"\n{requirement} \\\n" in LOCK, f"make lock: {requirement}"


def test_each_package_has_hashes_and_no_address():
    packages = re.findall(r"^([\w.-]+)==\S+(.*(?:\n    --hash=sha256:[0-9a-f]{64}.*)*)", LOCK, re.MULTILINE)
    assert len(packages) > 50
    assert {name for name, rest in packages if "--hash=sha256:" not in rest} == set()
    assert "://" not in LOCK
    assert not re.search(r"^(?![\w#]|    (--hash=|#)).+", LOCK, re.MULTILINE)  # no option, no local file
