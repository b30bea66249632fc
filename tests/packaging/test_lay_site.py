"""What gets into the package's folder of libraries, and what is refused."""

from __future__ import annotations

import hashlib
import re
import tomllib
import zipfile
from pathlib import Path

import pytest

import lay_site

ROOT = Path(__file__).resolve().parents[2]


class Wheels:
    """A folder of small wheels, and the lock that names them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.site = folder / "wheels", folder / "site"
        self.lock = ""
        self.folder.mkdir()

    def add(self, name: str, files: dict[str, str], *, locked: bool = True) -> None:
        path = self.folder / f"{name}.whl"
        with zipfile.ZipFile(path, "w") as archive:
            for inside, text in files.items():
                archive.writestr(inside, text)
        package, version = name.split("-")[:2]
        digest = hashlib.sha256(path.read_bytes()).hexdigest() if locked else "0" * 64
        self.lock += f"{package}=={version} ; python_version < '4' \\\n    --hash=sha256:{digest}\n"

    def lay(self) -> set[str]:
        lay_site.lay(self.folder, self.lock, self.site)
        return self.laid()

    def laid(self) -> set[str]:
        files = (path for path in self.site.rglob("*") if path.is_file())
        return {str(path.relative_to(self.site)) for path in files}


@pytest.fixture
def wheels(tmp_path: Path) -> Wheels:
    return Wheels(tmp_path)


def test_a_pure_wheel_is_laid_without_what_installers_noted(wheels: Wheels) -> None:
    wheels.add(
        "good-1-py3-none-any",
        {
            "good/__init__.py": "",
            "good/types.pyi": "",
            "good/tests/test_it.py": "",
            "good-1.dist-info/METADATA": "",
            "good-1.dist-info/RECORD": "",
            "good-1.data/scripts/good": "",
        },
    )
    assert wheels.lay() == {"good/__init__.py", "good-1.dist-info/METADATA"}


def test_a_compiled_module_lies_there_once_for_each_python(wheels: Wheels) -> None:
    for one in lay_site.PYTHONS:
        tag = f"cp{one.replace('.', '')}"
        name = f"fast-1-{tag}-{tag}-manylinux_2_17_x86_64"
        # Two entries of one name would be one package twice, so the lock is written by hand here.
        wheels.add(name, {f"fast.{tag}.so": tag, "fast_more.py": "same"})
    hashes = re.findall(r"--hash=\S+", wheels.lock)
    wheels.lock = "fast==1 \\\n    " + " \\\n    ".join(hashes) + "\n"
    laid = {f"fast.cp{one.replace('.', '')}.so" for one in lay_site.PYTHONS}
    assert wheels.lay() == laid | {"fast_more.py"}


def test_a_python_without_its_module_is_refused(wheels: Wheels) -> None:
    wheels.add("fast-1-cp311-cp311-manylinux_2_17_x86_64", {"fast.so": ""})
    with pytest.raises(lay_site.Refused, match=r"fast: there is no wheel for 3\.12, 3\.13, 3\.14"):
        wheels.lay()


def test_what_is_written_in_python_as_well_is_laid_without_its_compiled_part(
    wheels: Wheels,
) -> None:
    files = {"zeroconf/_dns.py": "", "zeroconf/_dns.cpython-311-x86_64-linux-gnu.so": ""}
    wheels.add("zeroconf-1-cp311-cp311-manylinux_2_17_x86_64", files)
    assert wheels.lay() == {"zeroconf/_dns.py"}


def test_another_hash_is_refused(wheels: Wheels) -> None:
    wheels.add("good-1-py3-none-any", {"good.py": ""}, locked=False)
    with pytest.raises(lay_site.Refused, match="another hash"):
        wheels.lay()


def test_what_no_lock_names_is_refused(wheels: Wheels) -> None:
    wheels.add("good-1-py3-none-any", {"good.py": ""})
    wheels.lock = ""
    with pytest.raises(lay_site.Refused, match="does not name it"):
        wheels.lay()


def test_what_the_lock_names_and_is_not_there_is_refused(wheels: Wheels) -> None:
    wheels.lock = "gone==1 \\\n    --hash=sha256:" + "1" * 64 + "\n"
    with pytest.raises(lay_site.Refused, match="gone: there is no wheel"):
        wheels.lay()


def test_two_wheels_that_contradict_each_other_are_refused(wheels: Wheels) -> None:
    wheels.add("one-1-py3-none-any", {"shared.py": "one"})
    wheels.add("two-1-py3-none-any", {"shared.py": "two"})
    with pytest.raises(lay_site.Refused, match="with other contents"):
        wheels.lay()


def test_a_path_out_of_the_folder_is_refused(wheels: Wheels) -> None:
    wheels.add("bad-1-py3-none-any", {"../outside.py": ""})
    with pytest.raises(lay_site.Refused, match="points out"):
        wheels.lay()


def test_only_what_is_listed_is_laid_and_each_line_is_for_something(wheels: Wheels) -> None:
    files = {"big/a.so": "", "big/b.so": "", "big/c.qm": "", "big-1.dist-info/METADATA": ""}
    wheels.add("big-1-py3-none-any", files)
    kept = lay_site.Kept("# the one that is run\nbig/a.*\n\nbig/*.qm\n")
    lay_site.lay(wheels.folder, wheels.lock, wheels.site, kept)
    assert wheels.laid() == {"big/a.so", "big/c.qm", "big-1.dist-info/METADATA"}
    with pytest.raises(lay_site.Refused, match=r"no wheel has big/d\.so"):
        lay_site.lay(wheels.folder, wheels.lock, wheels.site, lay_site.Kept("big/a.so\nbig/d.so"))


def test_what_another_package_carries_or_is_for_another_system_is_not_in_the_rest() -> None:
    digest = "    --hash=sha256:" + "1" * 64 + "\n"
    other = f"shared==1 \\\n{digest}"
    mine = f"{other}mine==2 \\\n{digest}apple==3 ; sys_platform == 'darwin' \\\n{digest}"
    wanted = f"mine==2 \\\n{digest}"
    assert lay_site.rest(f"{mine}pillow==1 \\\n{digest}", other) == wanted


def test_the_tray_carries_what_the_service_does_not() -> None:
    locks = ROOT / "packaging" / "locks"
    rest = lay_site.rest((locks / "tray.lock").read_text(), (locks / "service.lock").read_text())
    assert set(lay_site.locked(rest)) == {"pyside6-essentials", "pystray", "shiboken6", "six"}


def test_what_both_carry_has_one_version() -> None:
    service, tray = (
        dict(re.findall(r"^([a-z0-9-]+)==(\S+)", (ROOT / path).read_text(), re.MULTILINE))
        for path in ("packaging/locks/service.lock", "packaging/locks/tray.lock")
    )
    assert service.items() <= tray.items()


def test_every_package_of_the_lock_is_read() -> None:
    text = (ROOT / "packaging" / "locks" / "service.lock").read_text()
    entries = lay_site.locked(text)
    assert len(entries) == text.count("==") > 10
    assert all(entries.values())


def test_the_package_has_the_version_of_the_project() -> None:
    first = (ROOT / "packaging" / "debian" / "changelog").read_text().splitlines()[0]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert first.startswith(f"postroad ({project['version']}) ")
