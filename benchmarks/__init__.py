"""How fast is it, beside its peers? `./headrace bench` runs the entries; each is a module with `measure(bench)`."""

import cli  # noqa: F401 - so that every side runs our modules compiled, as the product does
