# SPDX-FileCopyrightText: 2026 nspawn.machined contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from testhost import recipe
from testhost.run import HostError


def test_every_recipe_has_a_key_of_its_own() -> None:
    everything = [recipe.GUEST, *recipe.DISTRIBUTIONS.values()]
    assert len({recipe.digest(made_of) for made_of in everything}) == len(everything)


def test_one_package_more_is_another_recipe() -> None:
    more = recipe.GUEST._replace(packages=(*recipe.GUEST.packages, "hello"))
    assert recipe.digest(more) != recipe.digest(recipe.GUEST)


def test_an_unknown_distribution_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(HostError, match=r"'sarge'; there are: .*debian12.*debian13"):
        recipe.distribution("sarge")
