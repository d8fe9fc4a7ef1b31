"""How fast is it, beside its peers? `./headrace bench` runs the entries; each is a module with `measure(bench)`."""
