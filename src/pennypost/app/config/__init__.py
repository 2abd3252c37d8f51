"""One TOML file (or none) becomes one frozen `Config`, or one ConfigError with every problem in it.

settings   Config: the sections, most of them owned by the package that obeys them
load       file and command line -> Config, with the origin of every value
reader     tables -> dataclasses, by their annotations; all problems at once
values     strings with a unit, addresses, paths, secrets -> values, and back
origin     in which line of the file a key is
describe   docs/configuration.md and `config show` out of the same annotations
"""
