"""Packaging: everything is in pyproject.toml but Twisted's plug-in folder.

`twisted/plugins` must be shipped without an `__init__`, as a part of Twisted's own namespace.
"""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["trio2o", "trio2o.*"]), "twisted.plugins"],
    package_data={"twisted.plugins": ["trio2o_plugin.py"], "trio2o": ["py.typed"]},
)
