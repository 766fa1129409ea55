"""The contract is a module of its own, and its assertions are to say what they compared."""

import pytest

pytest.register_assert_rewrite("tests.io.contract")
