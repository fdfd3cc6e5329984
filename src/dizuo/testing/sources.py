"""What every source of models and data is held to.

class TestMine(SourceSuite):
    name = "s3"
    malformed = ("s3:", "s3:/no-bucket")

    @pytest.fixture
    def address(self): return "s3:bucket/model"        # one that can be fetched where the test runs

    @pytest.fixture
    def missing(self): return "s3:bucket/nothing-here"
"""

from __future__ import annotations

import pytest

from dizuo.artifacts import digest_file, digest_tree, parse, resolve
from dizuo.artifacts.sources import SOURCES, Source
from dizuo.errors import ArtifactError, DizuoError

__all__ = ["SourceSuite"]


class SourceSuite:
    """Subclass it with the scheme as `name`, addresses that are `malformed`, and the fixtures `address` and `missing`.

    Without the fixtures, what fetches is skipped; then give a well-formed address as `written`.
    """

    name: str
    malformed: tuple[str, ...] = ()
    written: str = ""

    @pytest.fixture
    def source(self) -> Source:
        """Return the source under test."""
        return SOURCES.load(self.name)

    @pytest.fixture
    def address(self) -> str:
        """Return an address that can be fetched."""
        pytest.skip("nothing can be fetched from this source here")

    @pytest.fixture
    def missing(self) -> str:
        """Return a well-formed address of which there is nothing."""
        pytest.skip("nothing can be fetched from this source here")

    @pytest.fixture
    def well_formed(self, request: pytest.FixtureRequest) -> str:
        """Return a well-formed address."""
        return self.written or str(request.getfixturevalue("address"))

    def test_it_has_the_name_of_its_scheme(self, source: Source) -> None:
        assert source.name == self.name
        assert self.name in SOURCES.names()
        assert source.form

    def test_an_address_reads_back_as_it_was_written(self, well_formed: str) -> None:
        parsed = parse(well_formed)
        assert parsed.scheme == self.name
        assert parse(str(parsed)) == parsed

    def test_a_malformed_address_shows_the_right_form(self, source: Source) -> None:
        for text in self.malformed:
            with pytest.raises(ArtifactError) as raised:
                parse(text)
            assert raised.value.hint

    def test_what_is_fetched_is_there_with_its_digest(self, address: str) -> None:
        artifact = resolve(address)
        assert artifact.path.exists()
        assert artifact.digest == (digest_tree if artifact.path.is_dir() else digest_file)(artifact.path)
        assert all(path.is_file() for path in artifact.licence_files)

    def test_what_is_fetched_has_an_address_that_names_it_again(self, address: str) -> None:
        artifact = resolve(address)
        again = resolve(artifact.address)
        assert (again.address, again.digest) == (artifact.address, artifact.digest)

    def test_it_tells_the_watcher_without_printing(self, address: str, capsys: pytest.CaptureFixture[str]) -> None:
        resolve(address, watch=lambda event: None)
        assert capsys.readouterr().out == ""

    def test_what_is_not_there_is_one_error_with_a_hint(self, missing: str) -> None:
        with pytest.raises(DizuoError) as raised:
            resolve(missing)
        assert isinstance(raised.value, ArtifactError)
        assert raised.value.hint
