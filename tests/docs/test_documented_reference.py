"""The reference says what the program does."""

import inspect
from pathlib import Path

import pytest
from tests.support.markdown import ROOT
from tests.support.reference import FOLDER, pages

from springline.api.reference_page import MEANINGS
from springline.domain import errors
from springline.domain.errors import ERROR_CODES
from springline.providers.registry import PROVIDERS
from springline.settings import VARIABLES


@pytest.mark.parametrize("path", sorted(FOLDER.rglob("*.md")), ids=lambda path: path.name)
def test_what_is_made_from_the_program_is_up_to_date(path: Path) -> None:
    assert path.read_text() == pages()[path], "run: python -m tests.support.reference"


def test_every_provider_has_a_page_that_is_made_from_it() -> None:
    for name in PROVIDERS:
        assert f"<!-- made: {name} -->" in (FOLDER / f"providers/{name}.md").read_text()


def test_every_error_code_has_a_meaning() -> None:
    assert set(MEANINGS) == set(ERROR_CODES)


def test_the_decision_about_errors_names_every_error_of_a_provider() -> None:
    decision = (ROOT / "docs/adr/0009-errors-by-recovery.md").read_text()
    for name, error in inspect.getmembers(errors, inspect.isclass):
        if issubclass(error, errors.ProviderError) and error is not errors.ProviderError:
            assert f"`{name}`" in decision


def test_every_variable_is_in_the_reference_of_settings() -> None:
    reference = (FOLDER / "settings.md").read_text()
    assert [variable.name for variable in VARIABLES if f"`{variable.name}`" not in reference] == []
