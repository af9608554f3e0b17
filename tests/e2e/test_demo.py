"""`canary sandbox demo`, as people type it."""

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

LIMIT_SECONDS = 240


@pytest.mark.timeout(LIMIT_SECONDS + 10)
def test_the_demo_promotes_a_good_version_without_a_failed_request_and_takes_a_bad_one_back(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "canary", "sandbox", "demo", "--pictures", str(tmp_path / "pictures")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False)

    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    story, _, report = done.stdout.partition("What happened")
    weights = [line.partition("] ")[2].strip() for line in story.splitlines() if " %; " in line]
    assert weights[:5] == [f"1.0.0 {100 - weight} %; 1.1.0 {weight} %" for weight in (10, 20, 30, 40, 50)]
    assert weights[5] == "1.1.0 90 %; 1.2.0 10 %"
    happened = report.splitlines()
    assert "1.1.0 was promoted" in happened[1]
    assert happened[1].endswith(", 0 failed")
    assert "1.2.0 was rolled back" in happened[2]
    assert "request-success-rate was" in happened[3]
    pictures = sorted((tmp_path / "pictures").iterdir())
    assert [path.name for path in pictures] == ["bad.svg", "demo.svg", "good.svg"]
    assert all(f"  {path}" in happened for path in pictures)
    for path in pictures:
        assert "1.1.0" in "".join(ET.parse(path).getroot().itertext())  # noqa: S314 - our own
