"""Programs that find folders of ours at fixed paths, and leave the machine's own as they are."""

import subprocess
import sys
from pathlib import Path

from canary.sandbox import places


def shown(root: Path, found: dict[str, str], script: str) -> str:
    """What a script says that finds folders at paths."""
    command = [sys.executable, "-m", "canary.sandbox.netns", "--", *places.words(root, found), "sh", "-c", script]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout


def test_a_folder_is_found_at_a_path_whether_or_not_there_is_one(tmp_path: Path) -> None:
    """Beside what is there: the names in the same folder, and the sandbox's own resolv.conf."""
    own = tmp_path / "own"
    own.mkdir()
    (own / "a").write_text("ours ")
    found = {"/certs": str(own), "/etc/deep/er": str(own), "/srv": str(own), "/var/lib/nobodys": f"{tmp_path}/new"}
    read = "cat /certs/a /etc/deep/er/a /srv/a; ls /etc/passwd; grep -c nameserver /etc/resolv.conf"
    assert shown(tmp_path / "root", found, f"{read}; touch /var/lib/nobodys/b") == "ours ours ours /etc/passwd\n1\n"
    assert (tmp_path / "new/b").is_file()
    assert not Path("/certs").exists()
    assert not Path("/etc/deep").exists()
    assert list((tmp_path / "root").iterdir()) == []


def test_without_any_the_command_stays_as_it_is(tmp_path: Path) -> None:
    assert places.words(tmp_path, {}) == []
