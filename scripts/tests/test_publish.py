"""Nothing is sent before everything is right, and then in an order that can be repeated: scripts/publish."""

import hashlib
import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
FILES = ("gristmill-1.2.3-py3-none-manylinux_2_34_x86_64.whl", "gristmill_1.2.3-1_amd64.deb", "gristmill-1.2.3-t.tar.zst")

# Stands for twine and gh: notes how it was called, and fails where a test says so (gh-release-create, twine-upload).
STAND_IN = """#!/bin/sh
name=${0##*/}
echo "$name $*" >>"$CALLS"
case $name in twine) call=$name-$1 ;; *) call=$name-$1-$2 ;; esac
for failing in $FAILS; do
  if [ "$call" = "$failing" ]; then exit 1; fi
done
"""


class Publish(unittest.TestCase):
    """Publishes from a small repository of its own, with stand-ins for the tools that send."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.project = self.folder / "project"
        self.packages = self.project / "target/packages"
        self.calls = self.folder / "calls"
        self.env = {
            "PATH": f"{self.folder}/bin:{os.environ['PATH']}",
            "HOME": str(self.folder),
            "CALLS": str(self.calls),
            "FAILS": "gh-release-view",
            "TWINE_PASSWORD": "secret",
            **{name: os.environ[name] for name in ("CARGO_HOME", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN") if name in os.environ},
        }
        # With another HOME, these are no longer found by themselves.
        self.env.setdefault("CARGO_HOME", str(Path.home() / ".cargo"))
        self.env.setdefault("RUSTUP_HOME", str(Path.home() / ".rustup"))
        for tool in ("twine", "gh"):
            self.write(self.folder / "bin" / tool, STAND_IN).chmod(0o755)

        (self.project / "scripts").mkdir(parents=True)
        shutil.copy(TOP / "scripts/publish", self.project / "scripts/")
        self.write(self.project / "src/main.rs", "fn main() {}\n")
        self.manifest = self.write(
            self.project / "Cargo.toml",
            '[package]\nname = "gristmill"\nversion = "1.2.3"\nedition = "2024"\n'
            'repository = "https://github.com/owner/gristmill"\n',
        )
        self.write(self.project / "Cargo.lock", 'version = 4\n\n[[package]]\nname = "gristmill"\nversion = "1.2.3"\n')
        self.changes = self.write(
            self.project / "CHANGELOG.md", "# Changelog\n\n## [Unreleased]\n\n## [1.2.3]\n- New.\n\n## [1.2.2]\n- Old.\n"
        )
        self.control = self.write(self.project / "deploy/deb/control", "Maintainer: Somebody <somebody@example.org>\n")
        self.write(self.project / ".gitignore", "/target/\n")
        self.git("init", "--quiet")
        self.commit("a release")
        self.git("tag", "v1.2.3")
        self.list_packages()

    def write(self, path, text):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def git(self, *arguments):
        told = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
        done = subprocess.run(["git", *told, *arguments], cwd=self.project, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def commit(self, message):
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)

    def list_packages(self, binary="built"):
        lines = ["version\t1.2.3", f"commit\t{self.git('rev-parse', 'HEAD')}", f"binary\t{binary}"]
        for name in FILES:
            self.write(self.packages / name, f"what is in {name}")
            lines.append(f"file\t{name}\t{hashlib.sha256((self.packages / name).read_bytes()).hexdigest()}")
        self.write(self.packages / "packages.tsv", "\n".join(lines) + "\n")

    def publish(self, *arguments):
        script = self.project / "scripts/publish"
        return subprocess.run([script, *arguments], env=self.env, cwd=self.folder, capture_output=True, text=True)

    def sent(self):
        """Returns the calls that could have sent something."""
        calls = self.calls.read_text().splitlines() if self.calls.exists() else []
        return [call for call in calls if not call.startswith(("gh auth", "gh release view"))]

    def refused(self, *words):
        done = self.publish("--yes")
        self.assertEqual(done.returncode, 1, done.stdout)
        for word in words:
            self.assertIn(word, done.stdout)
        self.assertEqual(self.sent(), [])

    def test_without_yes_it_only_says_what_it_would_send(self):
        done = self.publish()
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotIn("Missing", done.stdout)
        self.assertIn("Nothing was sent", done.stdout)
        for name in FILES:
            data = (self.packages / name).read_bytes()
            line = next(line for line in done.stdout.splitlines() if line.startswith(name))
            self.assertEqual(line.split()[1:3], [str(len(data)), hashlib.sha256(data).hexdigest()])
            self.assertEqual(line.split()[3], "PyPI" if name.endswith(".whl") else "GitHub")
        self.assertEqual(self.sent(), [])

    def test_the_release_is_a_draft_until_pypi_has_the_wheel(self):
        done = self.publish("--yes")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        create, upload, edit = self.sent()
        self.assertRegex(create, r"^gh release create v1\.2\.3 .*\.deb .*\.tar\.zst --draft --verify-tag .*--repo owner/gristmill$")
        self.assertNotIn(".whl", create)
        self.assertRegex(upload, r"^twine upload --non-interactive --skip-existing \S*\.whl$")
        self.assertEqual(edit, "gh release edit v1.2.3 --draft=false --repo owner/gristmill")

    def test_when_pypi_refuses_the_release_stays_a_draft_and_a_second_call_goes_on(self):
        self.env["FAILS"] = "gh-release-view twine-upload"
        done = self.publish("--yes")
        self.assertEqual(done.returncode, 1)
        self.assertIn("is a draft", done.stderr)
        self.assertEqual([call.split()[:3] for call in self.sent()], [["gh", "release", "create"], ["twine", "upload", "--non-interactive"]])
        self.calls.unlink()
        # Now GitHub knows the release.
        self.env["FAILS"] = ""
        self.assertEqual(self.publish("--yes").returncode, 0)
        upload, twine, edit = self.sent()
        self.assertRegex(upload, r"^gh release upload v1\.2\.3 .* --clobber --repo owner/gristmill$")
        self.assertTrue(twine.startswith("twine upload") and "--draft=false" in edit)

    def test_when_github_refuses_pypi_gets_nothing(self):
        self.env["FAILS"] = "gh-release-view gh-release-create"
        done = self.publish("--yes")
        self.assertEqual(done.returncode, 1)
        self.assertIn("PyPI has nothing yet", done.stderr)
        self.assertFalse([call for call in self.sent() if call.startswith("twine")])

    def test_everything_that_is_missing_is_said_at_once(self):
        self.manifest.write_text(self.manifest.read_text().replace("repository", "homepage"))
        self.changes.write_text("# Changelog\n\n## [Unreleased]\n")
        self.control.write_text("Maintainer: Somebody <somebody@gristmill.invalid>\n")
        self.commit("not ready")
        self.list_packages(binary="given")
        (self.packages / FILES[0]).write_text("something else")
        (self.packages / FILES[1]).unlink()
        del self.env["TWINE_PASSWORD"]
        self.env["FAILS"] = "gh-auth-status"
        self.refused(
            "repository on GitHub", "no section [1.2.3]", "placeholder for the maintainer", "given with --binary",
            f"{FILES[0]} is not the file", f"{FILES[1]} is not in", "no credentials for PyPI", "no credentials for GitHub",
            "the tag v1.2.3 is not at this commit",
        )

    def test_each_thing_alone_stops_it(self):
        self.list_packages(binary="given")
        self.refused("given with --binary")
        self.list_packages()
        (self.packages / FILES[2]).write_text("something else")
        self.refused(f"{FILES[2]} is not the file")
        self.list_packages()
        self.write(self.project / "src/main.rs", "fn main() { }\n")
        self.commit("a change after the packages were made")
        self.refused("the packages were made from the commit", "the tag v1.2.3 is not at this commit")

    def test_a_tool_that_is_not_there_is_named(self):
        # Only what the script itself needs.
        for tool in ("twine", "gh"):
            (self.folder / "bin" / tool).unlink()
        for tool in ("bash", "env", "cargo", "git", "python3", "sed", "awk", "grep", "sha256sum", "cut", "stat", "dirname", "realpath"):
            (self.folder / "bin" / tool).symlink_to(shutil.which(tool))
        self.env["PATH"] = f"{self.folder}/bin"
        self.refused("twine is not installed", "gh is not installed")


if __name__ == "__main__":
    unittest.main()
