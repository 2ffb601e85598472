"""Makes `pytest suites --target URL` work in a checkout."""

pytest_plugins = ["runstone.plugin"]
