"""The packages hold the binary that was given, say the truth about it, and install: scripts/package, scripts/try-packages."""

import base64
import csv
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
import unittest
import zipfile
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
VERSION = re.search(r'^version = "(.*)"', (TOP / "Cargo.toml").read_text(), re.MULTILINE)[1]


def call(*command, **options):
    """Runs a command, and returns it with its outputs as text."""
    return subprocess.run(command, capture_output=True, text=True, **options)


def package(*arguments, **options):
    """Runs scripts/package quickly."""
    return call(TOP / "scripts/package", "--fast", *arguments, **options)


def sha256(data):
    return hashlib.sha256(data).hexdigest()


class Packages(unittest.TestCase):
    """Looks at packages that were made once, and tried as they were made."""

    @classmethod
    def setUpClass(cls):
        binary = os.environ.get("GRISTMILL_BINARY")
        if not binary:
            raise RuntimeError("GRISTMILL_BINARY is not set: let it name a binary of gristmill, such as target/debug/gristmill")
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = Path(folder.name) / "packages"
        # Under another name, which no package may take over.
        cls.binary = Path(shutil.copy(binary, Path(folder.name) / "built"))
        cls.digest = sha256(cls.binary.read_bytes())
        made = package("--binary", cls.binary, "--out", cls.folder)
        if made.returncode != 0:
            raise RuntimeError(f"scripts/package failed:\n{made.stdout}{made.stderr}")
        cls.says = made.stdout
        cls.listed = [line.split("\t") for line in (cls.folder / "packages.tsv").read_text().splitlines()]

    def one(self, pattern):
        """Returns the one package whose name fits."""
        found = list(self.folder.glob(pattern))
        self.assertEqual(len(found), 1, f"{pattern}: {found}")
        return found[0]

    def test_each_package_was_installed_and_ran_the_demo(self):
        for kind in ("whl", "tar.zst", "deb"):
            self.assertRegex(self.says, rf"(?m)\.{re.escape(kind)}: installed, and the demo ran$")

    def test_the_list_has_every_package_with_its_digest(self):
        files = {line[1]: line[2] for line in self.listed if line[0] == "file"}
        self.assertEqual({path.name for path in self.folder.iterdir()} - {"packages.tsv"}, set(files))
        for name, digest in files.items():
            self.assertEqual(sha256((self.folder / name).read_bytes()), digest, name)
        self.assertIn(["version", VERSION], self.listed)
        self.assertIn(["binary", "given"], self.listed)

    def test_the_wheel_holds_the_binary_and_its_record_is_right(self):
        with zipfile.ZipFile(self.one(f"gristmill-{VERSION}-py3-none-manylinux_2_*.whl")) as wheel:
            info = f"gristmill-{VERSION}.dist-info"
            self.assertEqual(sha256(wheel.read(f"gristmill-{VERSION}.data/scripts/gristmill")), self.digest)
            record = list(csv.reader(io.StringIO(wheel.read(f"{info}/RECORD").decode())))
            self.assertEqual({row[0] for row in record}, set(wheel.namelist()))
            for name, digest, size in record:
                if name != f"{info}/RECORD":
                    data = wheel.read(name)
                    found = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
                    self.assertEqual((digest, size), (f"sha256={found}", str(len(data))), name)
            parts = json.loads(wheel.read(f"{info}/sboms/gristmill.cyclonedx.json"))["components"]
            names = {part["name"] for part in parts}
            self.assertIn("parquet", names)
            self.assertFalse({name for name in names if name.startswith("windows")}, "crates for another system")

    def test_the_tag_of_the_wheel_is_the_c_library_that_the_binary_needs(self):
        symbols = call("readelf", "--version-info", "--wide", self.binary).stdout
        needed = max(tuple(map(int, found.split("."))) for found in re.findall(r"GLIBC_(\d+\.\d+)", symbols))
        tag = re.search(r"manylinux_(\d+)_(\d+)_", self.one("*.whl").name)
        self.assertEqual(tuple(map(int, tag.groups())), needed)
        self.assertIn(f"libc6 (>= {needed[0]}.{needed[1]})", self.deb_field("Depends"))

    def deb_field(self, field):
        return call("dpkg-deb", "--field", self.one("*.deb"), field, check=True).stdout.strip()

    def test_the_deb_has_the_files_and_their_rights(self):
        self.assertEqual(self.deb_field("Version"), f"{VERSION}-1")
        stream = subprocess.run(["dpkg-deb", "--fsys-tarfile", self.one("*.deb")], check=True, stdout=subprocess.PIPE)
        with tarfile.open(fileobj=io.BytesIO(stream.stdout)) as tar:
            files = {member.name.removeprefix("."): member for member in tar if member.isfile()}
            for name, member in files.items():
                self.assertEqual((member.uid, member.gid), (0, 0), name)
                self.assertEqual(member.mode, 0o755 if name == "/usr/bin/gristmill" else 0o644, name)

            def text(name):
                return tar.extractfile(files[name]).read().decode()

            self.assertEqual(sha256(tar.extractfile(files["/usr/bin/gristmill"]).read()), self.digest)
            unit = text("/usr/lib/systemd/system/gristmill.service")
            self.assertIn("\nExecStart=/usr/bin/gristmill run -c /etc/gristmill/gristmill.toml\n", unit)
            self.assertNotIn("By hand", unit)
            settings = text("/etc/gristmill/gristmill.toml")
            self.assertNotRegex(settings, r'["/]data/')
            urls = re.findall(r'^url = "(.*?)"', settings, re.MULTILINE)
            self.assertGreaterEqual(len(urls), 4)
            for url in urls:
                self.assertRegex(url, r"^(sqlite://)?/var/lib/gristmill/")
            rights = text("/usr/share/doc/gristmill/copyright")
            self.assertIn(" Permission is hereby granted", rights)
            self.assertNotIn("@", rights)

    def test_the_archive_has_the_licences_of_all_crates(self):
        name = self.one("*.tar.zst").name.removesuffix(".tar.zst")
        self.assertRegex(name, rf"^gristmill-{re.escape(VERSION)}-\w+-unknown-linux-gnu$")
        stream = subprocess.run(["zstd", "-dc", self.one("*.tar.zst")], check=True, stdout=subprocess.PIPE)
        with tarfile.open(fileobj=io.BytesIO(stream.stdout)) as tar:
            self.assertEqual(sha256(tar.extractfile(f"{name}/gristmill").read()), self.digest)
            for file in ("README.md", "LICENSE-MIT", "LICENSE-APACHE", "docs/operations.md", "deploy/gristmill.service"):
                self.assertEqual(tar.extractfile(f"{name}/{file}").read()[:40], (TOP / file).read_bytes()[:40], file)
            licences = tar.extractfile(f"{name}/third-party-licences.txt").read().decode()
        for crate in ("tokio", "parquet", "aws-lc-sys", "libsqlite3-sys"):
            self.assertRegex(licences, rf"(?m)^- {crate} \d")
        self.assertNotIn("- gristmill", licences)
        self.assertNotRegex(licences, r"(?m)^- (proptest|insta|windows-sys) ")

    def test_cargo_binstall_finds_the_archive_and_the_binary_in_it(self):
        described = call("cargo", "metadata", "--no-deps", "--locked", "--format-version", "1", cwd=TOP, check=True)
        root = next(found for found in json.loads(described.stdout)["packages"] if found["name"] == "gristmill")
        keys = root["metadata"]["binstall"]
        archive = self.one("*.tar.zst").name
        target = archive.removeprefix(f"gristmill-{VERSION}-").removesuffix(".tar.zst")
        values = {"name": "gristmill", "version": VERSION, "target": target, "bin": "gristmill", "binary-ext": "", "repo": "R"}

        def filled(key):
            return re.sub(r"\{ ([\w-]+) \}", lambda found: values[found[1]], keys[key])

        self.assertEqual(filled("pkg-url"), f"R/releases/download/v{VERSION}/{archive}")
        self.assertEqual(filled("bin-dir"), f"{archive.removesuffix('.tar.zst')}/gristmill")

    def test_without_binary_it_builds_one_and_makes_the_same_packages_of_it(self):
        with tempfile.TemporaryDirectory() as again, tempfile.TemporaryDirectory() as place:
            # A cargo that builds at once, by taking the binary that is there.
            cargo = Path(place) / "bin/cargo"
            cargo.parent.mkdir()
            cargo.write_text(
                "#!/bin/sh\n"
                'case "$*" in\n'
                '"build --profile dist --locked --features cluster --bin gristmill") ;;\n'
                # Not the real cargo, which would compile everything.
                'build*) echo "unexpected: cargo $*" >&2; exit 1 ;;\n'
                f'*) exec "{shutil.which("cargo")}" "$@" ;;\n'
                'esac\n'
                f'mkdir -p "$CARGO_TARGET_DIR/dist" && cp "{self.binary}" "$CARGO_TARGET_DIR/dist/gristmill"\n'
            )
            cargo.chmod(0o755)
            env = {**os.environ, "PATH": f"{cargo.parent}:{os.environ['PATH']}", "CARGO_TARGET_DIR": f"{place}/target"}
            kept = Path(again) / "notes.txt"
            kept.write_text("mine")
            old = Path(again) / "gristmill_0.0.1-1_amd64.deb"
            old.write_text("of an earlier version")
            (Path(again) / "packages.tsv").write_text(f"version\t0.0.1\nfile\t{old.name}\t00\n")
            made = package("--out", again, "--no-try", env=env)
            self.assertEqual(made.returncode, 0, made.stderr)
            expected = (self.folder / "packages.tsv").read_text().replace("binary\tgiven\n", "binary\tbuilt\n")
            self.assertEqual((Path(again) / "packages.tsv").read_text(), expected)
            self.assertTrue(kept.exists())
            self.assertFalse(old.exists(), "packages of an earlier version stay beside the new ones")

    def test_a_damaged_archive_is_not_passed(self):
        with tempfile.TemporaryDirectory() as copy:
            shutil.copytree(self.folder, copy, dirs_exist_ok=True)
            with open(Path(copy) / self.one("*.tar.zst").name, "ab") as archive:
                archive.write(b"x")
            tried = call(TOP / "scripts/try-packages", copy)
            self.assertEqual(tried.returncode, 1)
            self.assertIn("does not have the sha256", tried.stderr)


class Refused(unittest.TestCase):
    """What is not a binary of this version makes no package."""

    def refused(self, folder, program, *says):
        made = package("--binary", program, "--out", folder / "out", "--no-try")
        self.assertEqual(made.returncode, 1, made.stdout)
        for words in says:
            self.assertIn(words, made.stderr)
        self.assertFalse((folder / "out").exists())

    def test_programs_that_cannot_be_packaged(self):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            self.refused(folder, folder / "none", "is not a program that can be run", "--binary")
            for says, words in (("gristmill 99.0.0", "build it again"), (f"gristmill {VERSION}", "not a compiled program")):
                script = folder / "script"
                script.write_text(f"#!/bin/sh\necho {says}\n")
                script.chmod(0o755)
                self.refused(folder, script, words)

    def test_a_program_that_needs_a_library_which_others_lack(self):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "odd.c").write_text("int odd(void) { return 0; }")
            (folder / "main.c").write_text(
                f'#include <stdio.h>\nint odd(void);\nint main(void) {{ puts("gristmill {VERSION}"); return odd(); }}'
            )
            call("cc", "-shared", "-fPIC", "-o", folder / "libodd.so", folder / "odd.c", check=True)
            call("cc", "-o", folder / "main", folder / "main.c", "-L", folder, "-lodd", f"-Wl,-rpath,{folder}", check=True)
            self.refused(folder, folder / "main", "needs the library libodd.so")


if __name__ == "__main__":
    unittest.main()
